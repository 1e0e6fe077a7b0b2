/**
 * Reads a Retry-After header: seconds, or an HTTP date.
 *
 * @param now milliseconds since the epoch
 * @returns milliseconds, or null when the header is absent or is neither
 */
export function parseRetryAfter(header: string | null, now: number): number | null {
  if (header === null) return null
  if (/^[0-9]{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}
