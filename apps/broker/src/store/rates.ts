/**
 * How many new messages a member and a mesh may send in a window of time: a part of what an engine promises.
 *
 * It counts ids, not attempts: an id that was let through costs nothing for the rest of its window, so that retries of
 * one send cannot use up the limit. What is refused costs nothing either.
 */
import type { MessageKey } from './rows.ts'

export type RateVerdict = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number }

export interface RateLimits {
  /** New messages in one window, of one member and of a whole mesh. */
  readonly member: number
  readonly mesh: number
  readonly windowMs: number
}

export interface RateLimiter {
  /**
   * Takes one unit for each id that is new in this window.
   *
   * @returns one verdict per key, in their order
   */
  take(keys: readonly MessageKey[]): Promise<readonly RateVerdict[]>
  /** Forgets windows that are over, as many rows at once. @returns how many went */
  forget(rowsMax: number): Promise<number>
}
