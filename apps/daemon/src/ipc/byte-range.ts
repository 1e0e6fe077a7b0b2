/** What the Range header of a request for bytes asks for (RFC 9110 §14). */

/** First and last byte, both included, counted from 0. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** A number of so many digits is behind the end of everything. */
const digitsMax = 15

/**
 * A header that asks for several ranges, for another unit than bytes, or for nothing that can be read, asks for all of it.
 *
 * @returns null: all of it; `unsatisfiable`: one range, and none of it is there
 */
export function readRange(header: string, size: number): Range | null | 'unsatisfiable' {
  const found = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i.exec(header)
  if (found === null) return null
  const [, first, last = '', suffix] = found
  if (suffix !== undefined) {
    const bytes = toPosition(suffix)
    if (bytes === 0 || size === 0) return 'unsatisfiable'
    return { start: Math.max(0, size - bytes), end: size - 1 }
  }
  const start = toPosition(first ?? '')
  const end = last === '' ? Number.POSITIVE_INFINITY : toPosition(last)
  if (end < start) return null
  return start >= size ? 'unsatisfiable' : { start, end: Math.min(end, size - 1) }
}

function toPosition(digits: string): number {
  const significant = digits.replace(/^0+(?=\d)/, '')
  return significant.length > digitsMax ? Number.POSITIVE_INFINITY : Number(significant)
}
