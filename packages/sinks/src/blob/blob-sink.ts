/**
 * Rows as objects that never change: each chunk is one, named after its range (08 §3).
 *
 * 1. A chunk that is shipped again has the same key. What is there already is looked at and left: it has these rows, or it is
 *    somebody else's and the sink says so.
 * 2. No rows, no object.
 */
import { type HistoryRow, MeshError } from '@claudemesh/protocol'
import { formatPartition, type Partition, type SeqRange } from '../row-source.ts'
import type { ChunkLimits, Shipment, Sink } from '../sink.ts'
import type { BlobDestination } from './blob-destination.ts'
import type { BlobWriter } from './blob-writer.ts'
import { objectKey, rangeOfKey } from './object-key.ts'

const chunkLimits: ChunkLimits = { rowsMax: 50_000, bytesMax: 32 * 1024 * 1024, chunksMax: 16 }

export class BlobSink implements Sink {
  readonly chunkLimits: ChunkLimits
  readonly #writer: BlobWriter
  readonly #destination: BlobDestination

  constructor(o: {
    readonly writer: BlobWriter
    readonly destination: BlobDestination
    readonly limits?: ChunkLimits
  }) {
    this.#writer = o.writer
    this.#destination = o.destination
    this.chunkLimits = o.limits ?? chunkLimits
  }

  async ship(shipment: Shipment, signal: AbortSignal): Promise<void> {
    const { partition, chunk, rows } = shipment
    const key = objectKey(partition, chunk, this.#writer.extension)
    const isMade = await this.#destination.create(key, await this.#writer.encode(rows), signal)
    if (!isMade) await this.#assertHas(key, shipment)
  }

  async lastExported(partition: Partition): Promise<number | null> {
    let last: number | null = null
    for await (const { range } of this.#objects(partition)) last = Math.max(last ?? 0, range.until)
    return last
  }

  /** Exported rows of a range, in order, each once. @throws MeshError as `BlobDestination.read` */
  async *readRows(partition: Partition, { since, until }: SeqRange): AsyncIterable<HistoryRow> {
    const objects = []
    for await (const object of this.#objects(partition)) {
      if (object.range.until > since && object.range.since < until) objects.push(object)
    }
    let reached = since
    for (const { key } of objects.sort(
      (one, other) => one.range.since - other.range.since || one.range.until - other.range.until,
    )) {
      for (const row of await this.#writer.decode(await this.#destination.read(key))) {
        // After a reset a row may be in two objects.
        if (row.seq === null || row.seq <= reached || row.seq > until) continue
        yield row
        reached = row.seq
      }
    }
  }

  async close(): Promise<void> {
    this.#destination.close()
  }

  async *#objects(partition: Partition): AsyncIterable<{ readonly key: string; readonly range: SeqRange }> {
    for await (const key of this.#destination.list(`${formatPartition(partition)}/`)) {
      const range = rangeOfKey(key)
      if (range !== null && key.endsWith(`.${this.#writer.extension}`)) yield { key, range }
    }
  }

  /** Compares rows and not bytes: another version of Node may have made other bytes of them. */
  async #assertHas(key: string, { rows, isShort }: Shipment): Promise<void> {
    const there = await this.#destination.read(key)
    const found = await this.#writer.decode(there).catch(() => [])
    const ids = new Set(found.map((row) => row.row_id))
    if (rows.every((row) => ids.has(row.row_id)) && (isShort || found.length === rows.length)) return
    throw new MeshError('sink_conflict', { detail: `At the destination there is another ${key}` })
  }
}
