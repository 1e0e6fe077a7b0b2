/**
 * How many new messages a member and a mesh may send in a window of one second.
 *
 * It counts ids, not attempts: an id that was let through costs nothing for the rest of its window, so that retries of
 * one send cannot use up the limit. Memory is that of one window: when the next begins, everything is forgotten.
 */
import type { MessageKey } from '../store/rows.ts'

export type RateVerdict = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number }

export class RateLimit {
  readonly #options: {
    readonly member: number
    readonly mesh: number
    readonly windowMs: number
    readonly now: () => number
  }
  #window = Number.NEGATIVE_INFINITY
  #idsOf = new Map<string, Set<string>>()
  #countOf = new Map<string, number>()

  /** @param options.now monotonic milliseconds */
  constructor(options: {
    readonly member: number
    readonly mesh: number
    readonly windowMs: number
    readonly now: () => number
  }) {
    this.#options = options
  }

  /** Takes one unit for a new id, none for one that was let through in this window already. */
  take(key: MessageKey): RateVerdict {
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
