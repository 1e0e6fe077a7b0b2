import { ArtifactError } from '../artifact-error.ts'
import type { ByteRange } from './spi.ts'

/**
 * What a range means for an object of some size: first and last byte, or null when none was asked for. The end is cut to
 * the size.
 *
 * @throws ArtifactError `range_not_satisfiable`: it begins behind the end, ends before it begins, or is no range
 */
export function resolveRange(range: ByteRange | undefined, size: number): readonly [number, number] | null {
  if (range === undefined) return null
  const { start, end = Math.max(size - 1, start) } = range
  const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start
  if (!isRange || start >= size) {
    throw new ArtifactError('range_not_satisfiable', {
      detail: `The object has ${size} bytes; the range is not in it.`,
    })
  }
  return [start, Math.min(end, size - 1)]
}
