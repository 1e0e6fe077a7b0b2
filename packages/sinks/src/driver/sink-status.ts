/** How a sink is, as its operator reads it. */
import { MeshError } from '@claudemesh/protocol'
import type { Partition, RowSource, SeqRange } from '../row-source.ts'
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

/** What is known of a sink without asking the store of its rows. */
export interface SinkSummary {
  readonly name: string
  readonly phase: SinkStatus['phase']
  /** Why it is stopped. */
  readonly stopped: string | null
  /** Partitions that failed and wait for their retry. */
  readonly failing: number
  /** The first of their errors. */
  readonly error: string | null
  readonly rows: number
  readonly lost: number
}

/** What both are made from. */
export interface StatusParts {
  readonly name: string
  readonly source: RowSource
  readonly state: SinkState
  readonly partitions: readonly Partition[]
  readonly phase: SinkStatus['phase']
  readonly stopped: string | null
}

export function summaryOf(o: StatusParts): SinkSummary {
  const { name, phase, stopped } = o
  const partitions = o.partitions.map((partition) => placeOf(o, partition))
  const sum = (count: (place: Place) => number) => partitions.reduce((total, place) => total + count(place), 0)
  return {
    ...{ name, phase, stopped },
    failing: sum(({ failures }) => (failures > 0 ? 1 : 0)),
    error: partitions.find(({ error }) => error !== null)?.error ?? null,
    rows: sum(({ rows }) => rows),
    lost: sum(({ lost }) => lost),
  }
}

/** Rows that wait, at most; NaN when the store cannot tell. */
export function countBehind({ source, state, partitions }: StatusParts): number {
  try {
    const behind = partitions.map((one) => source.newestSeq(one) - (state.watermark(one)?.acked.seq ?? 0))
    return behind.reduce((sum, rows) => sum + Math.max(0, rows), 0)
  } catch (error) {
    if (error instanceof MeshError) return Number.NaN
    throw error
  }
}

export async function statusOf(
  o: StatusParts & Pick<SinkStatus, 'lastRun' | 'nextRunAt'> & { readonly now: number },
): Promise<SinkStatus> {
  const { name, phase, stopped, lastRun, nextRunAt } = o
  const partitions: PartitionStatus[] = []
  for (const partition of o.partitions) {
    const place = placeOf(o, partition)
    const newest = o.source.newestSeq(partition)
    const rowsBehind = place.acked === null ? null : Math.max(0, newest - place.acked)
    const range = { since: place.acked ?? newest, until: newest }
    const seconds = rowsBehind === null ? null : await secondsBehind(o, partition, range)
    partitions.push({ ...place, newest, rowsBehind, secondsBehind: seconds })
  }
  return { name, phase, stopped, lastRun, nextRunAt, partitions }
}

type Place = Omit<PartitionStatus, 'newest' | 'rowsBehind' | 'secondsBehind'>

function placeOf({ state }: StatusParts, partition: Partition): Place {
  const respool = state.respool(partition)
  const watermark = known(state, partition)
  return {
    ...{ dataset: partition.dataset, source: partition.source },
    acked: watermark === undefined ? null : (watermark?.acked.seq ?? 0),
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

async function secondsBehind(
  { source, now }: { readonly source: RowSource; readonly now: number },
  partition: Partition,
  range: SeqRange,
): Promise<number> {
  if (range.until <= range.since) return 0
  for await (const { row } of source.readRows(partition, range)) {
    return Math.max(0, Math.floor((now - row.at) / 1000))
  }
  return 0
}
