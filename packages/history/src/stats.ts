/** What a partition holds, and what of it will be deleted when. */
import { read } from '@claudemesh/storage'
import type { PartitionStore } from './partition-store.ts'
import type { Retention } from './retention.ts'
import { readSizes, type SinkAcknowledgement } from './statements.ts'

export interface PartitionStats {
  readonly partition: string
  /** The file in force, and its bytes; `usedBytes` of them hold something. */
  readonly path: string
  readonly fileBytes: number
  readonly usedBytes: number
  readonly rows: number
  readonly oldestRecordedAt: number | null
  readonly oldestSeq: number | null
  readonly newestSeq: number
  readonly prunedRows: number
  readonly lostRows: number
  readonly sinks: readonly SinkAcknowledgement[]
  /** Rows that some sink has not acknowledged; 0 when none is known. */
  readonly waitingRows: number
  readonly retention: Retention
  /** When the oldest row goes by its age; null: never by its age. */
  readonly oldestGoesAt: number | null
}

export function readStats(store: PartitionStore, retention: Retention): PartitionStats {
  const { db, sql, path } = store.generation
  return read(db, () => {
    const [oldest] = sql.oldest(1)
    const acknowledged = store.acknowledgedByAll
    const isWaitedFor = acknowledged !== null && oldest !== undefined && oldest.key > acknowledged
    const ageMs = isWaitedFor && retention.waitForSinkAck ? retention.capAgeMs : retention.ageMsMax
    return {
      partition: store.name,
      path,
      ...readSizes(db),
      rows: sql.count(null, Number.MAX_SAFE_INTEGER),
      oldestRecordedAt: oldest?.recordedAt ?? null,
      oldestSeq: oldest === undefined || oldest.key < 0 ? null : oldest.key,
      newestSeq: store.state.newestSeq,
      prunedRows: store.state.prunedRows,
      lostRows: sql.lost(0, Number.MAX_SAFE_INTEGER),
      sinks: store.sinks,
      waitingRows: acknowledged === null ? 0 : sql.count(acknowledged, Number.MAX_SAFE_INTEGER),
      retention,
      oldestGoesAt: oldest === undefined || ageMs === null ? null : oldest.recordedAt + ageMs,
    }
  })
}
