/**
 * A store that is opened when it is first needed, and stays open until it fails or the daemon ends.
 *
 * 1. Whoever needs it at the same time shares one opening.
 * 2. One that could not be opened is not tried again at once: for a while everybody is told the same.
 * 3. One that failed for good is let go, and opened anew for the next who asks.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'

export interface OnDemandOptions<Store> {
  readonly open: () => Promise<Store>
  readonly close: (store: Store) => Promise<void>
  /** What whoever asks is told of a store that could not be opened. */
  readonly refuse: (cause: unknown) => MeshError
  /** How long it is not tried again after that. */
  readonly retryMs: number
  /** How long the end of the daemon waits for what is under way. */
  readonly closeMsMax: number
  readonly monotonicMs: () => number
}

export class OnDemand<Store> {
  readonly #o: OnDemandOptions<Store>
  #opening: Promise<Store> | null = null
  #store: Store | null = null
  #refusal: { readonly error: MeshError; readonly atMs: number } | null = null
  #isClosed = false

  constructor(o: OnDemandOptions<Store>) {
    this.#o = o
  }

  /** Null while it is not open. */
  get opened(): Store | null {
    return this.#store
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The store, opened if need be. @throws MeshError `shutting_down`, what `refuse` gives */
  get(): Promise<Store> {
    if (this.#isClosed) return Promise.reject(new MeshError('shutting_down'))
    const { retryMs, monotonicMs } = this.#o
    if (this.#refusal !== null && monotonicMs() - this.#refusal.atMs < retryMs) {
      return Promise.reject(this.#refusal.error)
    }
    this.#opening ??= this.#open()
    return this.#opening
  }

  /**
   * Whoever comes from now on gets another store; what is under way on this one ends as it ends.
   *
   * @returns whether it was not let go before
   */
  letGo(store: Store, onNotClosed: (cause: unknown) => void): boolean {
    if (this.#store !== store) return false
    this.#opening = null
    this.#store = null
    this.#o.close(store).catch(onNotClosed)
    return true
  }

  /** Waits a while for what is under way, and closes; what is not done by then is mended by the next start. */
  async close(): Promise<void> {
    this.#isClosed = true
    const closing = this.#opening?.then(
      (store) => this.#o.close(store),
      () => undefined,
    )
    await within(this.#o.closeMsMax, Promise.resolve(closing))
  }

  async #open(): Promise<Store> {
    try {
      this.#store = await this.#o.open()
      this.#refusal = null
      return this.#store
    } catch (cause) {
      this.#opening = null
      const error = this.#o.refuse(cause)
      this.#refusal = { error, atMs: this.#o.monotonicMs() }
      throw error
    }
  }
}

/** What a promise gives; undefined when it takes longer. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const patience = new AbortController()
  const over = delay(ms, undefined, { signal: patience.signal }).catch(() => undefined)
  try {
    return await Promise.race([promise, over])
  } finally {
    patience.abort()
  }
}
