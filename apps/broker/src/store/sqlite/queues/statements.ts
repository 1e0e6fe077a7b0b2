import type { Priority } from '@claudemesh/protocol'
import type { Database } from '@claudemesh/storage'
import type { QueuedState } from '../../queue-states.ts'
import type { DeadMessage, LeasedMessage, Queue, QueueKey, TakeRequest } from '../../queues.ts'
import type { MemberKey, Message } from '../../rows.ts'
import type { AcceptItem } from '../../store.ts'

interface MessageRow {
  readonly brokerMessageId: string
  readonly historyId: number
  readonly clientMessageId: string
  readonly sender: string
  readonly queue: string
  readonly replyTo: string | null
  readonly priority: Priority
  readonly sealed: Buffer
  readonly acceptedAt: number
}

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

const messageColumns = `
  m.id AS brokerMessageId, m.history_id AS historyId, m.client_message_id AS clientMessageId, m.sender, m.queue,
  m.reply_to AS replyTo, m.priority, m.sealed, m.accepted_at AS acceptedAt`

const workColumns = `
  id AS brokerMessageId, queue, sender, client_message_id AS clientMessageId, receipts, state, last_try AS lastTry,
  lease_id AS leaseId, leased_by AS leasedBy`

/** What was sealed for a member: it was a consumer when it was accepted. */
const sealedFor = `
  EXISTS (SELECT 1 FROM queue_consumer c
           WHERE c.mesh_id = m.mesh_id AND c.queue = m.queue AND c.member_id = @memberId
             AND c.since_history_id < m.history_id
             AND (c.until_history_id IS NULL OR c.until_history_id >= m.history_id))`

const queueColumns = `
  q.name, q.consumers, q.max_deliveries AS maxDeliveries, q.created_at AS createdAt,
  EXISTS (SELECT 1 FROM queue_consumer c
           WHERE c.mesh_id = q.mesh_id AND c.queue = q.name AND c.member_id = @memberId
             AND c.until_history_id IS NULL) AS consuming,
  (SELECT count(*) FROM (SELECT 1 FROM message_queue m
    WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at IS NOT NULL
      AND (m.state = 'ready' OR m.visible_at <= @now) LIMIT 10001)) AS waiting,
  (SELECT count(*) FROM (SELECT 1 FROM message_queue m
    WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at > @now AND m.state = 'leased'
    LIMIT 10001)) AS leased,
  (SELECT count(*) FROM (SELECT 1 FROM message_queue m
    WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.state = 'dead' LIMIT 10001)) AS dead`

type QueueRow = Omit<Queue, 'consuming'> & { readonly consuming: number }

function toQueue(row: QueueRow): Queue {
  return { ...row, consuming: row.consuming === 1 }
}

function toMessage(row: MessageRow): Message {
  return {
    brokerMessageId: row.brokerMessageId,
    historyId: row.historyId,
    clientMessageId: row.clientMessageId,
    sender: row.sender,
    destination: { kind: 'queue', ref: row.queue },
    replyTo: row.replyTo,
    priority: row.priority,
    sealed: row.sealed,
    acceptedAt: row.acceptedAt,
  }
}

export type QueueStatements = ReturnType<typeof prepareQueues>

/** Queues and who consumes them. */
export function prepareQueues(db: Database) {
  const pageQueues = db.prepare<
    { meshId: string; memberId: string; after: string; limit: number; now: number },
    QueueRow
  >(`
    SELECT ${queueColumns} FROM queue q WHERE q.mesh_id = @meshId AND q.name > @after ORDER BY q.name LIMIT @limit`)
  const selectQueue = db.prepare<{ meshId: string; memberId: string; queue: string; now: number }, QueueRow>(`
    SELECT ${queueColumns} FROM queue q WHERE q.mesh_id = @meshId AND q.name = @queue`)
  const selectTerms = db.prepare<
    [string, string],
    { recipientsEpoch: number; consumers: number; maxDeliveries: number }
  >(`
    SELECT recipients_epoch AS recipientsEpoch, consumers, max_deliveries AS maxDeliveries
      FROM queue WHERE mesh_id = ? AND name = ?`)
  const selectConsumers = db.prepare<[string, string], { memberId: string }>(`
    SELECT member_id AS memberId FROM queue_consumer WHERE mesh_id = ? AND queue = ? AND until_history_id IS NULL
     ORDER BY member_id`)
  const selectConsumer = db.prepare<[string, string, string], { one: number }>(`
    SELECT 1 AS one FROM queue_consumer WHERE mesh_id = ? AND queue = ? AND member_id = ? AND until_history_id IS NULL`)
  const insertQueue = db.prepare<[string, string, number, string, number]>(`
    INSERT INTO queue (mesh_id, name, max_deliveries, created_by, created_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (mesh_id, name) DO NOTHING`)
  const updateMaxDeliveries = db.prepare<[number, string, string]>(`
    UPDATE queue SET max_deliveries = ? WHERE mesh_id = ? AND name = ?`)
  const insertConsumer = db.prepare<[string, string, string, number, number]>(`
    INSERT INTO queue_consumer (mesh_id, queue, member_id, since_history_id, joined_at) VALUES (?, ?, ?, ?, ?)`)
  const countChange = db.prepare<[number, string, string]>(`
    UPDATE queue SET recipients_epoch = recipients_epoch + 1, consumers = consumers + ? WHERE mesh_id = ? AND name = ?`)
  const selectConsumed = db.prepare<[string, string], { queue: string }>(`
    SELECT queue FROM queue_consumer WHERE mesh_id = ? AND member_id = ? AND until_history_id IS NULL ORDER BY queue`)
  const deleteConsumer = db.prepare<[string, string, string, number]>(`
    DELETE FROM queue_consumer
     WHERE mesh_id = ? AND queue = ? AND member_id = ? AND until_history_id IS NULL AND since_history_id >= ?`)
  const endConsumer = db.prepare<[number, string, string, string]>(`
    UPDATE queue_consumer SET until_history_id = ?
     WHERE mesh_id = ? AND queue = ? AND member_id = ? AND until_history_id IS NULL`)
  const deletePast = db.prepare<[string, string]>(`
    DELETE FROM queue_consumer
     WHERE mesh_id = ? AND queue = ? AND until_history_id IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM message_queue m
             WHERE m.mesh_id = queue_consumer.mesh_id AND m.queue = queue_consumer.queue AND m.urgency IN (0, 1, 2)
               AND m.history_id > queue_consumer.since_history_id AND m.history_id <= queue_consumer.until_history_id
               AND m.visible_at IS NOT NULL)
       AND NOT EXISTS (SELECT 1 FROM message_queue m
             WHERE m.mesh_id = queue_consumer.mesh_id AND m.queue = queue_consumer.queue AND m.state = 'dead'
               AND m.history_id > queue_consumer.since_history_id
               AND m.history_id <= queue_consumer.until_history_id)`)
  const releaseLeases = db.prepare<{ meshId: string; memberId: string; queue: string; now: number }>(`
    UPDATE message_queue SET state = 'ready', visible_at = @now, lease_id = NULL, reason = 'consumer_left'
     WHERE mesh_id = @meshId AND leased_by = @memberId AND queue = @queue AND state = 'leased'`)

  return {
    pageQueues: (key: MemberKey, page: { after: string | null; limit: number; now: number }): readonly Queue[] =>
      pageQueues.all({ meshId: key.meshId, memberId: key.memberId, ...page, after: page.after ?? '' }).map(toQueue),
    findQueue(key: MemberKey, about: { queue: string; now: number }): Queue | null {
      const row = selectQueue.get({ meshId: key.meshId, memberId: key.memberId, ...about })
      return row === undefined ? null : toQueue(row)
    },
    findTerms: (meshId: string, queue: string) => selectTerms.get(meshId, queue) ?? null,
    listConsumers: ({ meshId, queue }: QueueKey): readonly string[] =>
      selectConsumers.all(meshId, queue).map((row) => row.memberId),
    isConsumer: (key: MemberKey, queue: string): boolean =>
      selectConsumer.get(key.meshId, queue, key.memberId) !== undefined,
    /** Those that a member consumes. */
    listConsumed: (key: MemberKey): readonly string[] =>
      selectConsumed.all(key.meshId, key.memberId).map((row) => row.queue),
    insertQueue: (key: MemberKey, queue: { name: string; maxDeliveries: number; at: number }): void =>
      void insertQueue.run(key.meshId, queue.name, queue.maxDeliveries, key.memberId, queue.at),
    setMaxDeliveries: (meshId: string, queue: { name: string; maxDeliveries: number }): number =>
      updateMaxDeliveries.run(queue.maxDeliveries, meshId, queue.name).changes,
    insertConsumer: (key: MemberKey, to: { queue: string; sinceHistoryId: number; at: number }): void =>
      void insertConsumer.run(key.meshId, to.queue, key.memberId, to.sinceHistoryId, to.at),
    /** Every change of the consumers is a new epoch. */
    countChange: (meshId: string, change: { queue: string; consumers: 1 | -1 }): number =>
      countChange.run(change.consumers, meshId, change.queue).changes,
    /** The member is a consumer no more; of what it was one for, a row stays. @returns 0 when it was none */
    endConsumer(key: MemberKey, end: { queue: string; lastHistoryId: number }): number {
      const unused = deleteConsumer.run(key.meshId, end.queue, key.memberId, end.lastHistoryId).changes
      if (unused > 0) return unused
      return endConsumer.run(end.lastHistoryId, key.meshId, end.queue, key.memberId).changes
    },
    /** Forgets for whom messages were sealed of which none is left. */
    deletePast: (meshId: string, queue: string): void => void deletePast.run(meshId, queue),
    /** Whatever the member has leased can be taken at once, and is its no more. @returns how much that was */
    releaseLeases: (key: MemberKey, of: { queue: string; now: number }): number =>
      releaseLeases.run({ meshId: key.meshId, memberId: key.memberId, ...of }).changes,
  }
}

export type WorkStatements = ReturnType<typeof prepareWork>

/** Messages as they are accepted, taken and settled. */
export function prepareWork(db: Database) {
  const insertMessage = db.prepare(`
    INSERT INTO message_queue (id, mesh_id, history_id, client_message_id, sender, queue, reply_to, priority, receipts,
           accepted_at, sealed, visible_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const selectDue = db.prepare<
    { meshId: string; memberId: string; queue: string; now: number },
    MessageRow & { deliveries: number }
  >(`
    SELECT ${messageColumns}, m.deliveries FROM message_queue m
     WHERE m.mesh_id = @meshId AND m.queue = @queue AND m.visible_at <= @now AND m.last_try = 0 AND ${sealedFor}
     ORDER BY m.urgency, m.history_id`)
  const selectNext = db.prepare<[string, string], { at: number | null }>(`
    SELECT min(visible_at) AS at FROM message_queue
     WHERE mesh_id = ? AND queue = ? AND visible_at IS NOT NULL AND last_try = 0`)
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
  const unlease = db.prepare<[number, string, string, string, string]>(`
    UPDATE message_queue
       SET state = 'ready', visible_at = ?, deliveries = deliveries - 1, last_try = 0, lease_id = NULL
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
     ORDER BY visible_at LIMIT ?`)
  const selectDead = db.prepare<{ meshId: string; memberId: string; queue: string; after: number }, DeadRow>(`
    SELECT ${messageColumns}, m.deliveries, m.leased_by AS consumer, m.settled_at AS diedAt, m.reason
      FROM message_queue m
     WHERE m.mesh_id = @meshId AND m.queue = @queue AND m.state = 'dead' AND m.history_id > @after AND ${sealedFor}
     ORDER BY m.history_id`)
  const requeue = db.prepare<[number, string, string, string]>(`
    UPDATE message_queue
       SET state = 'ready', visible_at = ?, deliveries = 0, last_try = 0, lease_id = NULL, leased_by = NULL,
           settled_at = NULL, reason = NULL
     WHERE id = ? AND mesh_id = ? AND queue = ? AND state = 'dead'`)
  const drop = db.prepare<[number, string, string, string]>(`
    UPDATE message_queue SET state = 'dropped', settled_at = ?, sealed = x''
     WHERE id = ? AND mesh_id = ? AND queue = ? AND state = 'dead'`)
  const count = db.prepare<[], { ready: number; leased: number; dead: number }>(`
    SELECT (SELECT count(*) FROM (SELECT 1 FROM message_queue
             WHERE visible_at IS NOT NULL AND state = 'ready' LIMIT 100001)) AS ready,
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
        item.acceptedAt,
      ),
    /** What a consumer can take now, in order. */
    *due(request: Pick<TakeRequest, 'meshId' | 'memberId' | 'queue' | 'now'>) {
      const { meshId, memberId, queue, now } = request
      for (const row of selectDue.iterate({ meshId, memberId, queue, now })) {
        yield { message: toMessage(row), deliveries: row.deliveries }
      }
    },
    /** When the next message of a queue can be taken, by whomever. */
    nextAt: ({ meshId, queue }: QueueKey): number | null => selectNext.get(meshId, queue)?.at ?? null,
    lease: (request: TakeRequest, taken: Pick<LeasedMessage, 'message'> & { maxDeliveries: number }): number =>
      lease.run({
        id: taken.message.brokerMessageId,
        leaseId: request.leaseId,
        memberId: request.memberId,
        until: request.now + request.leaseMs,
        now: request.now,
        maxDeliveries: taken.maxDeliveries,
      }).changes,
    unlease: (key: MemberKey, taken: { queue: string; leaseId: string; now: number }): number =>
      unlease.run(taken.now, key.meshId, key.memberId, taken.queue, taken.leaseId).changes,
    findWork: (meshId: string, brokerMessageId: string) => selectWork.get(brokerMessageId, meshId) ?? null,
    finish: (brokerMessageId: string, at: number): number => finish.run(at, brokerMessageId).changes,
    putBack: (brokerMessageId: string, back: { visibleAt: number; reason: string }): number =>
      putBack.run(back.visibleAt, back.reason, brokerMessageId).changes,
    /** @param reason null: what it was put back for, or that its lease is over */
    bury: (brokerMessageId: string, death: { now: number; reason: string | null }): number =>
      bury.run({ id: brokerMessageId, ...death }).changes,
    extend: (brokerMessageId: string, leaseUntil: number): number => extend.run(leaseUntil, brokerMessageId).changes,
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
      requeue.run(message.now, message.id, of.meshId, of.queue).changes,
    drop: (of: QueueKey, message: { id: string; now: number }): number =>
      drop.run(message.now, message.id, of.meshId, of.queue).changes,
    count: () => count.get() ?? { ready: 0, leased: 0, dead: 0 },
  }
}
