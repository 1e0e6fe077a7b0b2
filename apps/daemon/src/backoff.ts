/**
 * The delay that doubles with each attempt, from the base to the cap, in milliseconds: what a jitter takes a part of.
 *
 * @param o.attempts attempts that have already failed; 0 for the first delay
 */
export function backoffCeilingMs(o: {
  readonly baseMs: number
  readonly capMs: number
  readonly attempts: number
}): number {
  // The exponent is held down: 2 ** 1024 would be Infinity, and 0 * Infinity is NaN.
  return Math.min(o.capMs, o.baseMs * 2 ** Math.min(o.attempts, 24))
}
