/** Where rows go: what every kind of sink does for the driver. */
import type { HistoryRow } from '@claudemesh/protocol'
import type { Partition } from './row-source.ts'
import type { Chunk } from './watermark/states.ts'

/** Rows that are on their way together. */
export interface Shipment {
  readonly partition: Partition
  readonly chunk: Chunk
  /** At least one. */
  readonly rows: readonly HistoryRow[]
  /** Rows of the chunk are gone since its id was made: what is there of it is shipped under the same id. */
  readonly isShort: boolean
}

/** How much is in one chunk, and in one unit of work. */
export interface ChunkLimits {
  readonly rowsMax: number
  /** Bytes as lines; a row that is larger is a chunk by itself. */
  readonly bytesMax: number
  readonly chunksMax: number
}

export interface Sink {
  readonly chunkLimits: ChunkLimits
  /**
   * Ships a chunk. When this returns, the destination has made it durable; a chunk that is shipped again is there once.
   *
   * @throws MeshError `sink_unavailable`: later it may succeed; `sink_refused`, `sink_conflict`; the reason of the signal
   */
  ship(shipment: Shipment, signal: AbortSignal): Promise<void>
  /**
   * How far the destination itself says that it has a partition; null when it has nothing of it.
   *
   * @throws MeshError `sink_cannot_list` where a destination cannot say; `sink_unavailable`
   */
  lastExported(partition: Partition): Promise<number | null>
  close(): Promise<void>
}
