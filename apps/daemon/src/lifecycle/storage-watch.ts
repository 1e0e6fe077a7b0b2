/**
 * Looks whether a database handle has become unusable: after a commit whose fsync failed nothing on it is trusted any
 * more, and only a new process can go on. Whoever met the failure has told its caller; this one decides about leaving.
 */
import { diskWatchIntervalMs } from '../limits.ts'

export interface StorageWatchOptions {
  readonly stores: Readonly<Record<string, { readonly broken: boolean }>>
  /** Called once, with the name of the store. */
  readonly onBroken: (store: string) => void
}

export class StorageWatch {
  readonly #o: StorageWatchOptions
  #timer: NodeJS.Timeout | null = null
  #told = false

  constructor(o: StorageWatchOptions) {
    this.#o = o
  }

  start(): void {
    this.#timer = setInterval(() => this.check(), diskWatchIntervalMs)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  check(): void {
    const broken = Object.entries(this.#o.stores).find(([, store]) => store.broken)
    if (broken === undefined || this.#told) return
    this.#told = true
    this.#o.onBroken(broken[0])
  }
}
