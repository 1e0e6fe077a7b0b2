/**
 * How long to wait for a receiver that is busy. It says so itself, by a Retry-After that is positive; else the waits grow.
 * A run waits for a while and no longer: then the partition goes to the respool, and other partitions have their turn.
 */

/** When it does not say how long, by how often it was busy in a row. */
const waitsMs: readonly number[] = [30_000, 60_000, 120_000, 300_000]

/** All waits for one chunk together. */
export const inlineWaitMsMax = 300_000

/** @param o.busy how often in a row it was busy before; `retryAfterMs`: what it says, null when nothing */
export function waitMs(o: { readonly busy: number; readonly retryAfterMs: number | null }): number {
  if (o.retryAfterMs !== null && o.retryAfterMs > 0) return o.retryAfterMs
  return waitsMs[Math.min(o.busy, waitsMs.length - 1)] ?? 0
}
