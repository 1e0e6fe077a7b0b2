import { ArtifactError } from '../../artifact-error.ts'

/** How many ingests read their bytes at once; others wait, up to a number, in order of arrival. */
export class IngestSlots {
  readonly #slotsMax: number
  readonly #waitingMax: number
  readonly #waiting: (() => void)[] = []
  #used = 0
  #attended = 0
  #idle: (() => void)[] = []

  constructor(o: { readonly slotsMax: number; readonly waitingMax: number }) {
    this.#slotsMax = o.slotsMax
    this.#waitingMax = o.waitingMax
  }

  /** @throws ArtifactError `too_many_requests`: as many wait as may */
  async use<T>(run: () => Promise<T>): Promise<T> {
    if (this.#used === this.#slotsMax) {
      if (this.#waiting.length >= this.#waitingMax) {
        throw new ArtifactError('too_many_requests', { detail: `${this.#waiting.length} files are waiting already.` })
      }
      // Whoever leaves hands the slot on.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else {
      this.#used += 1
    }
    try {
      return await run()
    } finally {
      this.#leave()
    }
  }

  /** Does something that has slots now and then, and is under way all the time. */
  async attend<T>(run: () => Promise<T>): Promise<T> {
    this.#attended += 1
    try {
      return await run()
    } finally {
      this.#attended -= 1
      this.#tellIdle()
    }
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    if (this.#used + this.#attended > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next()
      return
    }
    this.#used -= 1
    this.#tellIdle()
  }

  #tellIdle(): void {
    if (this.#used + this.#attended > 0) return
    for (const resolve of this.#idle) resolve()
    this.#idle = []
  }
}
