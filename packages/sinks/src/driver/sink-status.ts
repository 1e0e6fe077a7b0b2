/** How a sink is, as its operator reads it. */
import { MeshError } from '@claudemesh/protocol'
import type { Partition, RowSource } from '../row-source.ts'
import type { Watermark } from '../watermark/states.ts'
import type { SinkRecord } from './sink-record.ts'
import type { SinkState } from './sink-state.ts'

export interface PartitionStatus {
  readonly dataset: string
  readonly source: string
  /** Null: it cannot be told. */
  readonly acked: number | null
  readonly newest: number
  /** Rows that wait, at most: sequences between that other partitions have are counted too. */
  readonly rowsBehind: number | null
  /** The age of the oldest row that waits; 0 when none does. */
  readonly secondsBehind: number | null
  readonly isShipping: boolean
  readonly rows: number
  readonly lost: number
  readonly failures: number
  readonly retryAt: number | null
  readonly error: string | null
}

export interface SinkStatus {
  readonly name: string
  readonly phase: 'waiting' | 'running' | 'paused' | 'stopped'
  /** Why it is stopped. */
  readonly stopped: string | null
  readonly lastRun: SinkRecord['last_run']
  readonly nextRunAt: number | null
  readonly partitions: readonly PartitionStatus[]
}

export async function statusOf(o: {
  readonly name: string
  readonly source: RowSource
  readonly state: SinkState
  readonly partitions: readonly Partition[]
  readonly now: number
  readonly phase: SinkStatus['phase']
  readonly stopped: string | null
  readonly lastRun: SinkRecord['last_run']
  readonly nextRunAt: number | null
}): Promise<SinkStatus> {
  const { name, phase, stopped, lastRun, nextRunAt } = o
  const partitions: PartitionStatus[] = []
  for (const partition of o.partitions) partitions.push(await partitionStatus(o, partition))
  return { name, phase, stopped, lastRun, nextRunAt, partitions }
}

async function partitionStatus(
  { source, state, now }: { readonly source: RowSource; readonly state: SinkState; readonly now: number },
  partition: Partition,
): Promise<PartitionStatus> {
  const { dataset } = partition
  const respool = state.respool(partition)
  const newest = source.newestSeq(partition)
  const watermark = known(state, partition)
  const acked = watermark === undefined ? null : (watermark?.acked.seq ?? 0)
  return {
    ...{ dataset, source: partition.source, acked, newest },
    rowsBehind: acked === null ? null : Math.max(0, newest - acked),
    secondsBehind: acked === null ? null : await secondsBehind({ source, partition, since: acked, until: newest, now }),
    isShipping: (watermark?.intent ?? null) !== null,
    rows: watermark?.rows ?? 0,
    lost: watermark?.lost ?? 0,
    failures: respool?.failures ?? 0,
    retryAt: respool?.retry_at ?? null,
    error: respool?.error ?? null,
  }
}

/** Undefined when it cannot be used. */
function known(state: SinkState, partition: Partition): Watermark | null | undefined {
  try {
    return state.watermark(partition)
  } catch (error) {
    if (error instanceof MeshError && error.code === 'sink_stopped') return undefined
    throw error
  }
}

async function secondsBehind(o: {
  readonly source: RowSource
  readonly partition: Partition
  readonly since: number
  readonly until: number
  readonly now: number
}): Promise<number> {
  const { source, partition, since, until, now } = o
  if (until <= since) return 0
  for await (const { row } of source.readRows(partition, { since, until })) {
    return Math.max(0, Math.floor((now - row.at) / 1000))
  }
  return 0
}
