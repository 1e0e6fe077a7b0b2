/**
 * Rows cut into chunks. Where a chunk ends, how many rows it has and by which id the destination knows it is decided once,
 * before anything of it is shipped, and is the same whenever it is read again.
 */
import { createHash } from 'node:crypto'
import type { HistoryRow } from '@claudemesh/protocol'
import { encodeRow } from './row-lines.ts'
import type { Partition, RowSource, SeqRange } from './row-source.ts'
import type { ChunkLimits } from './sink.ts'
import type { Chunk } from './watermark/states.ts'

/** What an id is made of beside the lines of its rows. */
interface BatchPlace {
  /** The id of the sink, which no other one ever had. */
  readonly sink: string
  readonly partition: Partition
  readonly since: number
}

/** The id of a chunk: equal rows of one sink at one place have equal ids, and no others have. */
function batchId({ sink, partition, since }: BatchPlace, lines: string): string {
  const place = JSON.stringify([sink, partition.dataset, partition.source, since])
  return createHash('sha256').update(place).update('\n').update(lines).digest('hex')
}

/**
 * Cuts what is in a range, up to as many chunks as a unit of work may have.
 *
 * @returns the chunks, and how far the unit goes: to the end of the range, or of the last chunk
 */
export async function cutChunks(
  source: RowSource,
  o: { readonly sink: string; readonly partition: Partition; readonly range: SeqRange; readonly limits: ChunkLimits },
): Promise<{ readonly until: number; readonly chunks: readonly Chunk[] }> {
  const { sink, partition, range, limits } = o
  const chunks: Chunk[] = []
  let open = new OpenChunk(range.since, 0)
  const seal = () => {
    const { since, until, offset, rows, at } = open
    chunks.push({ since, until, offset, rows, at, batch_id: batchId({ sink, partition, since }, open.lines()) })
  }
  for await (const { row } of source.readRows(partition, range)) {
    const line = encodeRow(row)
    if (!open.takes(row, line, limits)) {
      seal()
      // A unit that ended among rows without a sequence would ship them again.
      if (chunks.length >= limits.chunksMax && open.until > range.since) return { until: open.until, chunks }
      open = open.next(row)
    }
    open.add(row, line)
  }
  if (open.rows > 0) seal()
  return { until: range.until, chunks }
}

/** The rows of a chunk, as far as they are still there. */
export async function readChunk(source: RowSource, partition: Partition, chunk: Chunk): Promise<readonly HistoryRow[]> {
  const isSequenced = chunk.until > chunk.since
  const rows: HistoryRow[] = []
  let behind = chunk.offset
  for await (const { row } of source.readRows(partition, chunk)) {
    if ((row.seq !== null) !== isSequenced) continue
    if (behind > 0) {
      behind -= 1
      continue
    }
    rows.push(row)
    if (!isSequenced && rows.length === chunk.rows) break
  }
  return rows
}

/** The chunk that rows are being put into. */
class OpenChunk {
  readonly since: number
  readonly offset: number
  readonly #lines: string[] = []
  #bytes = 0
  until: number
  /** The time of its first row. */
  at = 0

  constructor(since: number, offset: number) {
    this.since = since
    this.until = since
    this.offset = offset
  }

  get rows(): number {
    return this.#lines.length
  }

  takes(row: HistoryRow, line: string, { rowsMax, bytesMax }: ChunkLimits): boolean {
    if (this.rows === 0) return true
    const isOfAKind = (row.seq === null) === (this.until === this.since)
    return isOfAKind && this.rows < rowsMax && this.#bytes + Buffer.byteLength(line) <= bytesMax
  }

  add(row: HistoryRow, line: string): void {
    if (this.rows === 0) this.at = row.at
    this.#lines.push(line)
    this.#bytes += Buffer.byteLength(line)
    if (row.seq !== null) this.until = row.seq
  }

  /** The one behind it, which begins with `row`. */
  next(row: HistoryRow): OpenChunk {
    return new OpenChunk(this.until, row.seq === null ? this.offset + this.rows : 0)
  }

  lines(): string {
    return this.#lines.join('')
  }
}
