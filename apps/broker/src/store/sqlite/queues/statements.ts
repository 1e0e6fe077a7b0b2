/** Queues and who consumes them. */
import type { Database } from '@claudemesh/storage'
import type { Queue, QueueKey } from '../../queues.ts'
import type { MemberKey } from '../../rows.ts'

const queueColumns = `
  q.name, q.consumers, q.max_deliveries AS maxDeliveries, q.created_at AS createdAt,
  EXISTS (SELECT 1 FROM queue_consumer c
           WHERE c.mesh_id = q.mesh_id AND c.queue = q.name AND c.member_id = @memberId
             AND c.until_history_id IS NULL) AS consuming,
  min(10001,
    (SELECT count(*) FROM (SELECT 1 FROM message_queue m
      WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at = 0 LIMIT 10001)) +
    (SELECT count(*) FROM (SELECT 1 FROM message_queue m
      WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at > 0
        AND (m.state = 'ready' OR m.visible_at <= @now) LIMIT 10001))) AS waiting,
  (SELECT count(*) FROM (SELECT 1 FROM message_queue m
    WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at > 0 AND m.visible_at > @now
      AND m.state = 'leased' LIMIT 10001)) AS leased,
  (SELECT count(*) FROM (SELECT 1 FROM message_queue m
    WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.state = 'dead' LIMIT 10001)) AS dead`

type QueueRow = Omit<Queue, 'consuming'> & { readonly consuming: number }

function toQueue(row: QueueRow): Queue {
  return { ...row, consuming: row.consuming === 1 }
}

export type QueueStatements = ReturnType<typeof prepareQueues>

export function prepareQueues(db: Database) {
  const pageQueues = db.prepare<
    { meshId: string; memberId: string; after: string; limit: number; now: number },
    QueueRow
  >(`
    SELECT ${queueColumns} FROM queue q WHERE q.mesh_id = @meshId AND q.name > @after ORDER BY q.name LIMIT +@limit`)
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
    SELECT queue FROM queue_consumer INDEXED BY queue_consumer_by_member
     WHERE mesh_id = ? AND member_id = ? AND until_history_id IS NULL ORDER BY queue`)
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
               AND m.visible_at = 0)
       AND NOT EXISTS (SELECT 1 FROM message_queue m
             WHERE m.mesh_id = queue_consumer.mesh_id AND m.queue = queue_consumer.queue AND m.visible_at > 0
               AND m.history_id > queue_consumer.since_history_id AND m.history_id <= queue_consumer.until_history_id)
       AND NOT EXISTS (SELECT 1 FROM message_queue m
             WHERE m.mesh_id = queue_consumer.mesh_id AND m.queue = queue_consumer.queue AND m.state = 'dead'
               AND m.history_id > queue_consumer.since_history_id
               AND m.history_id <= queue_consumer.until_history_id)`)
  const releaseLeases = db.prepare<{ meshId: string; memberId: string; queue: string }>(`
    UPDATE message_queue SET state = 'ready', visible_at = 0, lease_id = NULL, reason = 'consumer_left'
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
    releaseLeases: (key: MemberKey, queue: string): number =>
      releaseLeases.run({ meshId: key.meshId, memberId: key.memberId, queue }).changes,
  }
}
