/** When a partition that could not be exported is tried again. */
import type { Respool } from './sink-record.ts'

const baseMs = 30_000
const capMs = 3_600_000

/** How long errors are in the record and in answers. */
const errorCharactersMax = 500

/**
 * The respool of a partition after one more failure: twice as long as after the one before, up to an hour, and no sooner than
 * the destination asked for.
 *
 * @param o.random in [0, 1): partitions that failed together do not all come back together
 */
export function respoolAfter(
  before: Respool | null,
  o: { readonly now: number; readonly random: number; readonly retryAfterMs: number; readonly error: string },
): Respool {
  const failures = (before?.failures ?? 0) + 1
  const ceilingMs = Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 10))
  const delayMs = Math.max(o.retryAfterMs, Math.round(ceilingMs * (0.5 + o.random / 2)))
  return { failures, retry_at: o.now + delayMs, error: o.error.slice(0, errorCharactersMax) }
}
