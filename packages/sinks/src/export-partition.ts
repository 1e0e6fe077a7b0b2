/**
 * Brings a sink up to the newest row of one partition (08 §2).
 *
 *     1  intent     range, chunks and their ids are on the disk before the first byte is shipped
 *     2  ship       every chunk, in order; the destination has made each durable
 *     3  advance    one write: `acked` is the end of the range, and the intent is gone
 *
 * 1. What was interrupted anywhere is shipped again from the intent: the same rows under the same ids, whatever has come
 *    meanwhile.
 * 2. Nothing above `acked`: nothing is read, written or asked.
 * 3. Rows that retention took before they were shipped are counted as lost with the advance that passes them.
 */
import { crashPoint } from '@claudemesh/storage'
import { cutChunks, readChunk } from './chunks.ts'
import type { Partition, RowSource, SeqRange } from './row-source.ts'
import type { Runtime } from './runtime.ts'
import type { Sink } from './sink.ts'
import { advance, type Chunk, type Intent, intend, type Watermark } from './watermark/states.ts'
import type { WatermarkFile } from './watermark/watermark-file.ts'

export interface PartitionExport {
  /** The name by which the store knows the sink, and the id that is in the ids of its chunks. */
  readonly name: string
  readonly id: string
  readonly sink: Sink
  readonly source: RowSource
  readonly partition: Partition
  readonly file: WatermarkFile
  readonly runtime: Runtime
}

/** What one call has exported. */
export interface Exported {
  readonly rows: number
  readonly lost: number
}

/**
 * Ships what is above the watermark, unit by unit.
 *
 * @param found the watermark as it is on the disk
 * @throws what `Sink.ship` throws, and `insufficient_storage` or `storage_failed`; what was shipped is shipped again then
 */
export async function exportPartition(o: PartitionExport, found: Watermark, signal: AbortSignal): Promise<Exported> {
  const { source, partition, file, runtime } = o
  const newest = source.newestSeq(partition)
  let watermark = found
  while (watermark.intent !== null || watermark.acked.seq < newest) {
    if (watermark.intent === null) {
      watermark = intend(watermark, await plan(o, { since: watermark.acked.seq, until: newest }))
      file.write(watermark)
      crashPoint('sinks.intent_written')
    }
    const shipped = await shipAll(o, watermark.intent as Intent, signal)
    crashPoint('sinks.all_shipped')
    watermark = advance(watermark, { ...shipped, at: runtime.now() })
    file.write(watermark)
    crashPoint('sinks.advanced')
    source.acknowledge(o.name, partition, watermark.acked.seq)
  }
  return { rows: watermark.rows - found.rows, lost: watermark.lost - found.lost }
}

async function plan({ id, source, partition, sink, runtime }: PartitionExport, range: SeqRange): Promise<Intent> {
  const { until, chunks } = await cutChunks(source, { sink: id, partition, range, limits: sink.chunkLimits })
  return { unit: runtime.nextId(), since: range.since, until, chunks: [...chunks], started_at: runtime.now() }
}

async function shipAll(o: PartitionExport, intent: Intent, signal: AbortSignal): Promise<Exported> {
  let rows = 0
  let lost = 0
  let reached = intent.since
  for (const chunk of intent.chunks) {
    signal.throwIfAborted()
    const found = await ship(o, chunk, signal)
    rows += found.rows
    lost += found.lost
    reached = chunk.until
  }
  return { rows, lost: lost + o.source.lost(o.partition, reached, intent.until).rows }
}

async function ship(o: PartitionExport, chunk: Chunk, signal: AbortSignal): Promise<Exported> {
  const { sink, source, partition } = o
  const { rows, lost } = await readWithLoss(source, partition, chunk)
  if (rows.length === 0) return { rows: 0, lost }
  // A row never changes: as many of them as there were are the same ones.
  await sink.ship({ partition, chunk, rows, isShort: rows.length < chunk.rows }, signal)
  crashPoint('sinks.chunk_shipped')
  return { rows: rows.length, lost }
}

/** Reads until retention did not delete anything of the chunk meanwhile: each of its rows is either read or lost. */
async function readWithLoss(source: RowSource, partition: Partition, chunk: Chunk) {
  const lost = () => source.lost(partition, chunk.since, chunk.until).rows
  for (;;) {
    const before = lost()
    const rows = await readChunk(source, partition, chunk)
    // What went while nobody waited for this sink was not noted: the chunk itself says how many rows it had.
    if (lost() === before) return { rows, lost: Math.max(before, chunk.rows - rows.length) }
  }
}
