/**
 * How long to wait before the next connection.
 *
 * After an ordinary end: full jitter over a delay that doubles from the base to the cap, so that a thousand hosts
 * spread out; a connection that lasted, or carried messages, starts it over. What a broker that let nobody in asked to
 * wait for comes before it, up to the cap, so that those who were told the same do not come together.
 *
 * When another host uses the identity (05 §2): a delay that only grows, so that two hosts which displace each other do so
 * ever more rarely; it starts over, and the conflict counts as over, when a connection has lasted.
 */
import { backoffCeilingMs } from '../backoff.ts'
import type { LinkTimings } from './timings.ts'

/** Another host uses this identity. */
export interface IdentityConflict {
  readonly code: number
  readonly name: string
  readonly since: number
}

export class Patience {
  readonly #timings: LinkTimings
  readonly #random: () => number
  #attempts = 0
  #conflicts = 0
  #conflict: IdentityConflict | null = null

  constructor(o: { readonly timings: LinkTimings; readonly random: () => number }) {
    this.#timings = o.timings
    this.#random = o.random
  }

  /** @param openMs how long the present connection has been open; 0 without one */
  conflict(openMs: number): IdentityConflict | null {
    return openMs >= this.#timings.conflictOverMs ? null : this.#conflict
  }

  /** Learns from a connection that has ended. */
  noteEnd({ openMs, wasUseful }: { readonly openMs: number; readonly wasUseful: boolean }): void {
    if (wasUseful || openMs >= this.#timings.stableMs) this.#attempts = 0
    if (openMs < this.#timings.conflictOverMs) return
    this.#conflict = null
    this.#conflicts = 0
  }

  /**
   * @param retryAfterMs what the last attempt was asked to wait for; 0 for nothing
   * @returns milliseconds
   */
  nextDelay(retryAfterMs = 0): number {
    const { backoffMsBase, backoffMsCap } = this.#timings
    const delay = backoffCeilingMs({ baseMs: backoffMsBase, capMs: backoffMsCap, attempts: this.#attempts })
    this.#attempts += 1
    return Math.min(retryAfterMs, backoffMsCap) + Math.floor(this.#random() * delay)
  }

  /** @returns milliseconds */
  nextConflictDelay(conflict: IdentityConflict): number {
    const { conflictMsBase, conflictMsCap } = this.#timings
    const delay = backoffCeilingMs({ baseMs: conflictMsBase, capMs: conflictMsCap, attempts: this.#conflicts })
    this.#conflict ??= conflict
    this.#conflicts += 1
    return Math.floor(delay * (1 + this.#random() / 4))
  }
}
