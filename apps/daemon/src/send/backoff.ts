/**
 * How long to wait before another attempt: full jitter, a uniformly random part of a delay that doubles from the base
 * to the cap. Attempts are not limited; only age ends a retry (02 §5).
 */
import { backoffCeilingMs } from '../backoff.ts'
import { sendBackoffMsBase, sendBackoffMsCap } from '../limits.ts'

/**
 * @param attempts transmissions that have already ended; 0 for the first failure
 * @param random in [0, 1). Rows that failed together share one value, so that they come back in their order.
 * @returns milliseconds
 */
export function backoffMs(attempts: number, random: number): number {
  return Math.floor(random * backoffCeilingMs({ baseMs: sendBackoffMsBase, capMs: sendBackoffMsCap, attempts }))
}

/**
 * The delay when the broker asked for one: not less than it said, and never beyond the cap, since a claim takes a row
 * that seems to wait longer for one that was left behind by a clock that jumped.
 */
export function delayMs(o: { attempts: number; random: number; retryAfterMs: number | undefined }): number {
  return Math.min(sendBackoffMsCap, Math.max(backoffMs(o.attempts, o.random), o.retryAfterMs ?? 0))
}
