/** Messages of work queues as they are accepted, taken and settled. */
import type { Database } from '@claudemesh/storage'
import { dueHeldMax } from '../../../../limits.ts'
import type { QueuedState } from '../../../queue-states.ts'
import type { DeadMessage, LeasedMessage, QueueKey, TakeRequest } from '../../../queues.ts'
import type { MemberKey } from '../../../rows.ts'
import { type MessageRow, queuedMessageColumns, sealedFor, toMessage } from '../../../statements.ts'
import type { AcceptItem } from '../../../store.ts'

interface DueRow extends MessageRow {
  readonly urgency: number
  readonly deliveries: number
}

/** A time during which a member was a consumer; null: it still is. */
interface Term {
  readonly since: number
  readonly until: number | null
}

type Due = Pick<LeasedMessage, 'message' | 'deliveries'>

interface DeadRow extends MessageRow {
  readonly deliveries: number
  readonly consumer: string
  readonly diedAt: number
  readonly reason: string
}

/** A message as far as settling it, and telling its sender, is concerned. */
export interface Work {
  readonly brokerMessageId: string
  readonly queue: string
  readonly sender: string
  readonly clientMessageId: string
  readonly receipts: number
  readonly state: QueuedState
  readonly lastTry: number
  readonly leaseId: string | null
  readonly leasedBy: string | null
}

const workColumns = `
  id AS brokerMessageId, queue, sender, client_message_id AS clientMessageId, receipts, state, last_try AS lastTry,
  lease_id AS leaseId, leased_by AS leasedBy`

function inOrder(
  left: { readonly urgency: number; readonly historyId: number },
  right: { readonly urgency: number; readonly historyId: number },
): number {
  return left.urgency - right.urgency || left.historyId - right.historyId
}

export type WorkStatements = ReturnType<typeof prepareWork>

export function prepareWork(db: Database) {
  const insertMessage = db.prepare(`
    INSERT INTO message_queue (id, mesh_id, history_id, client_message_id, sender, queue, reply_to, priority, receipts,
           accepted_at, sealed, visible_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`)
  const selectTerms = db.prepare<[string, string, string], Term>(`
    SELECT since_history_id AS since, until_history_id AS until FROM queue_consumer
     WHERE mesh_id = ? AND queue = ? AND member_id = ? ORDER BY since_history_id`)
  const selectFresh = db.prepare<[string, string, number, number, number, number], DueRow>(`
    SELECT ${queuedMessageColumns}, m.urgency, m.deliveries FROM message_queue m
     WHERE m.mesh_id = ? AND m.queue = ? AND m.urgency = ? AND m.visible_at = 0
       AND m.history_id > ? AND m.history_id <= ? AND m.last_try = 0
     ORDER BY m.history_id LIMIT +?`)
  const selectHeld = db.prepare<
    { meshId: string; memberId: string; queue: string; now: number; limit: number },
    { id: string; urgency: number; historyId: number }
  >(`
    SELECT m.id, m.urgency, m.history_id AS historyId FROM message_queue m
     WHERE m.mesh_id = @meshId AND m.queue = @queue AND m.visible_at > 0 AND m.visible_at <= @now
       AND m.last_try = 0 AND ${sealedFor('main', '@memberId')}
     ORDER BY m.visible_at LIMIT +@limit`)
  const selectById = db.prepare<[string], DueRow>(`
    SELECT ${queuedMessageColumns}, m.urgency, m.deliveries FROM message_queue m WHERE m.id = ?`)
  const selectNext = db.prepare<{ meshId: string; queue: string }, { at: number }>(`
    SELECT 0 AS at WHERE EXISTS (SELECT 1 FROM message_queue
      WHERE mesh_id = @meshId AND queue = @queue AND visible_at = 0 AND last_try = 0)
     UNION ALL
    SELECT visible_at FROM (SELECT visible_at FROM message_queue
      WHERE mesh_id = @meshId AND queue = @queue AND visible_at > 0 AND last_try = 0 ORDER BY visible_at LIMIT 1)`)
  const lease = db.prepare<{
    id: string
    leaseId: string
    memberId: string
    until: number
    now: number
    maxDeliveries: number
  }>(`
    UPDATE message_queue
       SET state = 'leased', visible_at = @until, deliveries = deliveries + 1, last_try = deliveries + 1 >= @maxDeliveries,
           lease_id = @leaseId, leased_by = @memberId
     WHERE id = @id AND state IN ('ready', 'leased') AND visible_at <= @now`)
  const unlease = db.prepare<[string, string, string, string]>(`
    UPDATE message_queue
       SET state = 'ready', visible_at = 0, deliveries = deliveries - 1, last_try = 0, lease_id = NULL
     WHERE mesh_id = ? AND leased_by = ? AND queue = ? AND lease_id = ? AND state = 'leased'`)
  const selectWork = db.prepare<[string, string], Work>(`
    SELECT ${workColumns} FROM message_queue WHERE id = ? AND mesh_id = ?`)
  const finish = db.prepare<[number, string]>(`
    UPDATE message_queue SET state = 'done', visible_at = NULL, settled_at = ?, sealed = x''
     WHERE id = ? AND state = 'leased'`)
  const putBack = db.prepare<[number, string, string]>(`
    UPDATE message_queue SET state = 'ready', visible_at = ?, reason = ? WHERE id = ? AND state = 'leased'`)
  const bury = db.prepare<{ id: string; now: number; reason: string | null }>(`
    UPDATE message_queue
       SET state = 'dead', visible_at = NULL, settled_at = @now,
           reason = coalesce(@reason, CASE state WHEN 'leased' THEN 'lease_over' END, reason, 'lease_over')
     WHERE id = @id AND state IN ('ready', 'leased')`)
  const extend = db.prepare<[number, string]>(`
    UPDATE message_queue SET visible_at = ? WHERE id = ? AND state = 'leased'`)
  const selectExhausted = db.prepare<[number, number], Work & { meshId: string; leasedBy: string }>(`
    SELECT ${workColumns}, mesh_id AS meshId FROM message_queue WHERE last_try = 1 AND visible_at <= ?
     ORDER BY visible_at LIMIT +?`)
  const bringNear = db.prepare<{ latest: number; now: number; limit: number }>(`
    UPDATE message_queue SET visible_at = @now
     WHERE rowid IN (SELECT m.rowid FROM queue q
                       JOIN message_queue m INDEXED BY message_queue_held
                         ON m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at > 0 AND m.visible_at > @latest
                      LIMIT +@limit)`)
  const selectDead = db.prepare<{ meshId: string; memberId: string; queue: string; after: number }, DeadRow>(`
    SELECT ${queuedMessageColumns}, m.deliveries, m.leased_by AS consumer, m.settled_at AS diedAt, m.reason
      FROM message_queue m
     WHERE m.mesh_id = @meshId AND m.queue = @queue AND m.state = 'dead' AND m.history_id > @after AND ${sealedFor('main', '@memberId')}
     ORDER BY m.history_id`)
  const requeue = db.prepare<[string, string, string]>(`
    UPDATE message_queue
       SET state = 'ready', visible_at = 0, deliveries = 0, last_try = 0, lease_id = NULL, leased_by = NULL,
           settled_at = NULL, reason = NULL
     WHERE id = ? AND mesh_id = ? AND queue = ? AND state = 'dead'`)
  const drop = db.prepare<[number, string, string, string]>(`
    UPDATE message_queue SET state = 'dropped', settled_at = ?, sealed = x''
     WHERE id = ? AND mesh_id = ? AND queue = ? AND state = 'dead'`)
  const count = db.prepare<[], { ready: number; leased: number; dead: number }>(`
    SELECT min(100001, (SELECT count(*) FROM (SELECT 1 FROM message_queue WHERE visible_at = 0 LIMIT 100001)) +
                       (SELECT count(*) FROM (SELECT 1 FROM message_queue
                         WHERE visible_at > 0 AND state = 'ready' LIMIT 100001))) AS ready,
           (SELECT count(*) FROM (SELECT 1 FROM message_queue WHERE state = 'leased' LIMIT 100001)) AS leased,
           (SELECT count(*) FROM (SELECT 1 FROM message_queue WHERE state = 'dead' LIMIT 100001)) AS dead`)

  return {
    insertMessage: (item: AcceptItem, historyId: number): void =>
      void insertMessage.run(
        item.brokerMessageId,
        item.meshId,
        historyId,
        item.clientMessageId,
        item.sender,
        item.destination.ref,
        item.replyTo,
        item.priority,
        item.receipts ? 1 : 0,
        item.acceptedAt,
        item.sealed,
      ),
    /** What a consumer can take now, in order: of what was held back only what has been due longest. */
    due(request: TakeRequest, limit: number): readonly Due[] {
      const { meshId, memberId, queue, now } = request
      const terms = selectTerms.all(meshId, queue, memberId)
      const held = selectHeld.all({ meshId, memberId, queue, now, limit: dueHeldMax }).toSorted(inOrder).slice(0, limit)
      const rows = held.flatMap(({ id }) => selectById.get(id) ?? [])
      let found = 0
      for (const urgency of [0, 1, 2]) {
        for (const { since, until } of terms) {
          if (found >= limit) break
          const to = until ?? Number.MAX_SAFE_INTEGER
          const fresh = selectFresh.all(meshId, queue, urgency, since, to, limit - found)
          found += fresh.length
          rows.push(...fresh)
        }
      }
      const first = rows.toSorted(inOrder).slice(0, limit)
      return first.map((row) => ({ message: toMessage(row), deliveries: row.deliveries }))
    },
    /** When the next message of a queue can be taken, by whomever. */
    nextAt: ({ meshId, queue }: QueueKey): number | null => selectNext.get({ meshId, queue })?.at ?? null,
    lease: (request: TakeRequest, taken: Pick<LeasedMessage, 'message'> & { maxDeliveries: number }): number =>
      lease.run({
        id: taken.message.brokerMessageId,
        leaseId: request.leaseId,
        memberId: request.memberId,
        until: request.now + request.leaseMs,
        now: request.now,
        maxDeliveries: taken.maxDeliveries,
      }).changes,
    unlease: (key: MemberKey, taken: { queue: string; leaseId: string }): number =>
      unlease.run(key.meshId, key.memberId, taken.queue, taken.leaseId).changes,
    findWork: (meshId: string, brokerMessageId: string) => selectWork.get(brokerMessageId, meshId) ?? null,
    finish: (brokerMessageId: string, at: number): number => finish.run(at, brokerMessageId).changes,
    putBack: (brokerMessageId: string, back: { visibleAt: number; reason: string }): number =>
      putBack.run(back.visibleAt, back.reason, brokerMessageId).changes,
    /** @param reason null: what it was put back for, or that its lease is over */
    bury: (brokerMessageId: string, death: { now: number; reason: string | null }): number =>
      bury.run({ id: brokerMessageId, ...death }).changes,
    extend: (brokerMessageId: string, leaseUntil: number): number => extend.run(leaseUntil, brokerMessageId).changes,
    bringNear: (o: { latest: number; now: number; limit: number }): number => bringNear.run(o).changes,
    listExhausted: (now: number, limit: number) => selectExhausted.all(now, limit),
    *dead(key: MemberKey, page: { queue: string; after: number }): Generator<DeadMessage> {
      const { meshId, memberId } = key
      const { queue, after } = page
      for (const row of selectDead.iterate({ meshId, memberId, queue, after })) {
        const { deliveries, consumer, diedAt, reason } = row
        yield { message: toMessage(row), deliveries, consumer, diedAt, reason }
      }
    },
    requeue: (of: QueueKey, message: { id: string; now: number }): number =>
      requeue.run(message.id, of.meshId, of.queue).changes,
    drop: (of: QueueKey, message: { id: string; now: number }): number =>
      drop.run(message.now, message.id, of.meshId, of.queue).changes,
    count: () => count.get() ?? { ready: 0, leased: 0, dead: 0 },
  }
}
