/**
 * Names of exported objects: `<dataset>/<source>/<day of the first row>/S.<since>-<until>.<extension>`, the sequences with as
 * many digits as any can have, so that names sort as ranges do.
 */
import { formatPartition, type Partition, type SeqRange } from '../row-source.ts'
import type { Chunk } from '../watermark/states.ts'

const digits = String(Number.MAX_SAFE_INTEGER).length
const keyPattern = /\/S\.(\d+)-(\d+)(?:\.(\d+))?\.[a-z.]+$/

/** The name of the object of a chunk: the same one also when rows of it are gone. */
export function objectKey(partition: Partition, chunk: Chunk, extension: string): string {
  const { since, until, offset, at } = chunk
  const day = new Date(at).toISOString().slice(0, 'yyyy-mm-dd'.length)
  // Only rows without a sequence have several chunks at one place.
  const part = offset === 0 ? '' : `.${offset}`
  return `${formatPartition(partition)}/${day}/S.${pad(since)}-${pad(until)}${part}.${extension}`
}

/** @returns null when it is no name of an exported object */
export function rangeOfKey(key: string): SeqRange | null {
  const [, since, until] = keyPattern.exec(key) ?? []
  return since === undefined || until === undefined ? null : { since: Number(since), until: Number(until) }
}

function pad(seq: number): string {
  return String(seq).padStart(digits, '0')
}
