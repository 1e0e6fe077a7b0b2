/** `/v1/history/*`: the record of everything sent and received, and what is done for it. */
import { type HistoryQuery, type Partition, type PartitionStats, parsePartition } from '@claudemesh/history'
import { formatDestination, MeshError, parseAddress } from '@claudemesh/protocol'
import {
  type HistoryQueryParameters,
  type HistoryStats,
  historyCompactRequestSchema,
  historyCompactSchema,
  historyPageSchema,
  historyPruneSchema,
  historyQuerySchema,
  historyStatsSchema,
} from '@claudemesh/protocol/history'
import type { Members } from '../../members/members.ts'
import type { HistoryStore } from '../../record/history-store.ts'
import type { HistoryUpkeep } from '../../record/history-upkeep.ts'
import type { App, RouteFamily } from '../app.ts'
import { findMember } from '../find-member.ts'

export interface HistoryRouteOptions {
  readonly store: HistoryStore
  /** Null when there is no history. */
  readonly upkeep: HistoryUpkeep | null
  readonly members: Members
  /** Slug of the mesh. */
  readonly mesh: string
}

const tags = ['history']
const pageLimitDefault = 50

export function historyRoutes(o: HistoryRouteOptions): RouteFamily {
  return (app) => {
    lookingRoutes(app, o)
    upkeepRoutes(app, o)
  }
}

function lookingRoutes(app: App, { store, members, mesh }: HistoryRouteOptions): void {
  app.get(
    '/v1/history/query',
    {
      schema: {
        tags,
        summary: 'What was sent and received, or happened to the daemon, by pages',
        querystring: historyQuerySchema,
        response: { 200: historyPageSchema },
      },
    },
    async ({ query }) => {
      const partition = { dataset: query.dataset ?? 'messages', source: `mesh=${mesh}` }
      const { rows, next } = store.get().query(partition, toQuery(members, query))
      return { rows: [...rows], next: next === null ? null : String(next) }
    },
  )
  app.get(
    '/v1/history/stats',
    {
      schema: {
        tags,
        summary: 'What the history holds, who has exported it, and what of it goes when',
        response: { 200: historyStatsSchema },
      },
    },
    async (): Promise<HistoryStats> => {
      const history = store.get()
      return { partitions: history.stats().map(toStatsView), jumps: [...history.jumps] }
    },
  )
}

function upkeepRoutes(app: App, { store, upkeep }: HistoryRouteOptions): void {
  app.post(
    '/v1/history/prune',
    {
      schema: {
        tags,
        summary: 'Delete now what is past its retention; the daemon does so by itself',
        response: { 200: historyPruneSchema },
      },
    },
    async () => {
      store.get()
      return { partitions: [...((await upkeep?.prune()) ?? [])] }
    },
  )
  app.post(
    '/v1/history/compact',
    {
      schema: {
        tags,
        summary: 'Give back the space of deleted rows now; the daemon does so when it is worth it',
        body: historyCompactRequestSchema,
        response: { 200: historyCompactSchema },
      },
    },
    async ({ body }) => {
      const history = store.get()
      const named = body.partition === undefined ? history.partitions() : [readPartition(body.partition)]
      const partitions = []
      for (const partition of named) {
        const { bytesBefore, bytesAfter, ...done } = await history.compact(partition)
        partitions.push({ ...done, bytes_before: bytesBefore, bytes_after: bytesAfter })
      }
      return { partitions }
    },
  )
}

function toQuery(members: Members, query: HistoryQueryParameters): HistoryQuery {
  return {
    order: query.order ?? 'newest',
    after: query.after === undefined ? null : readPlace(query.after),
    limit: query.limit ?? pageLimitDefault,
    direction: query.direction ?? null,
    sender: query.from === undefined ? null : findMember(members, query.from, 'from'),
    destination: query.to === undefined ? null : readDestination(members, query.to),
    state: query.state ?? null,
    clientMessageId: query.client_message_id ?? null,
    brokerMessageId: query.broker_message_id ?? null,
    from: query.since ?? 0,
    to: query.until ?? Number.MAX_SAFE_INTEGER,
  }
}

function readDestination(members: Members, to: string): string {
  const address = parseAddress(to)
  if (address?.kind !== 'topic' && address?.kind !== 'queue') return findMember(members, to, 'to')
  return formatDestination({ kind: address.kind, ref: address.name })
}

function readPlace(text: string): number {
  const place = Number(text)
  if (!Number.isSafeInteger(place)) throw new MeshError('invalid_cursor', { data: { field: 'after' } })
  return place
}

function readPartition(name: string): Partition {
  const partition = parsePartition(name)
  if (partition === null) throw new MeshError('not_found', { detail: `there is no partition ${name}` })
  return partition
}

function toStatsView(stats: PartitionStats): HistoryStats['partitions'][number] {
  const { retention } = stats
  return {
    partition: stats.partition,
    rows: stats.rows,
    file_bytes: stats.fileBytes,
    used_bytes: stats.usedBytes,
    oldest_at: stats.oldestRecordedAt,
    newest_seq: stats.newestSeq,
    pruned_rows: stats.prunedRows,
    lost_rows: stats.lostRows,
    waiting_rows: stats.waitingRows,
    sinks: stats.sinks.map(({ name, acknowledgedSeq }) => ({ name, acknowledged_seq: acknowledgedSeq })),
    retention: {
      age_ms_max: retention.ageMsMax,
      bytes_max: retention.bytesMax,
      wait_for_sink_ack: retention.waitForSinkAck,
      cap_age_ms: retention.capAgeMs,
      cap_bytes: retention.capBytes,
    },
    oldest_goes_at: stats.oldestGoesAt,
  }
}
