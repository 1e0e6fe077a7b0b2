/** The limits of the embedded engine, in memory: that of one window. When the next begins, everything is forgotten. */
import type { RateLimiter, RateLimits, RateVerdict } from '../store/rates.ts'
import type { MessageKey } from '../store/rows.ts'

export class RateLimit implements RateLimiter {
  readonly #options: RateLimits & { readonly now: () => number }
  #window = Number.NEGATIVE_INFINITY
  #idsOf = new Map<string, Set<string>>()
  #countOf = new Map<string, number>()

  /** @param options.now monotonic milliseconds */
  constructor(options: RateLimits & { readonly now: () => number }) {
    this.#options = options
  }

  async take(keys: readonly MessageKey[]): Promise<readonly RateVerdict[]> {
    return keys.map((key) => this.#takeOne(key))
  }

  /** Nothing is left of a window when the next one begins. */
  async forget(): Promise<number> {
    return 0
  }

  #takeOne(key: MessageKey): RateVerdict {
    const now = this.#options.now()
    this.#turn(Math.floor(now / this.#options.windowMs))
    const sender = `${key.meshId}/${key.sender}`
    const ids = this.#idsOf.get(sender) ?? new Set<string>()
    if (ids.has(key.clientMessageId)) return { ok: true }
    const count = this.#countOf.get(key.meshId) ?? 0
    if (ids.size >= this.#options.member || count >= this.#options.mesh) {
      return { ok: false, retryAfterMs: Math.ceil((this.#window + 1) * this.#options.windowMs - now) }
    }
    ids.add(key.clientMessageId)
    this.#idsOf.set(sender, ids)
    this.#countOf.set(key.meshId, count + 1)
    return { ok: true }
  }

  #turn(window: number): void {
    if (window === this.#window) return
    this.#window = window
    this.#idsOf = new Map()
    this.#countOf = new Map()
  }
}
