import type { Database } from '@claudemesh/storage'
import type { MemberKey } from '../../rows.ts'

export interface OldMessage {
  readonly historyId: number
  readonly brokerMessageId: string
  readonly sender: string
  readonly clientMessageId: string
  readonly acceptedAt: number
}

/** A message of a work queue that nobody has done. */
export interface UndoneWork {
  readonly sender: string
  readonly clientMessageId: string
  readonly receipts: number
  readonly recipient: string
}

export type RetentionStatements = ReturnType<typeof prepareRetention>

export function prepareRetention(db: Database) {
  const selectMeshes = db.prepare<[], { meshId: string; messageRetentionDays: number | null }>(`
    SELECT id AS meshId, message_retention_days AS messageRetentionDays FROM mesh ORDER BY id`)
  const selectOldest = db.prepare<[string, number, number], OldMessage>(`
    SELECT h.history_id AS historyId, h.broker_message_id AS brokerMessageId,
           coalesce(m.sender, w.sender) AS sender,
           coalesce(m.client_message_id, w.client_message_id) AS clientMessageId,
           coalesce(m.accepted_at, w.accepted_at) AS acceptedAt
      FROM message_history h LEFT JOIN topic_message m ON m.id = h.broker_message_id
           LEFT JOIN message_queue w ON w.id = h.broker_message_id
     WHERE h.mesh_id = ? AND coalesce(m.accepted_at, w.accepted_at) <= ? ORDER BY h.history_id LIMIT +?`)
  const selectWaiting = db.prepare<[string], { recipient: string; deliveryId: number }>(`
    SELECT recipient, delivery_id AS deliveryId FROM delivery_queue WHERE broker_message_id = ?`)
  const selectUndone = db.prepare<[string], UndoneWork>(`
    SELECT w.sender, w.client_message_id AS clientMessageId, w.receipts,
           coalesce(w.leased_by,
                    (SELECT min(c.member_id) FROM queue_consumer c
                      WHERE c.mesh_id = w.mesh_id AND c.queue = w.queue AND c.since_history_id < w.history_id
                        AND (c.until_history_id IS NULL OR c.until_history_id >= w.history_id)),
                    q.created_by) AS recipient
      FROM message_queue w JOIN queue q ON q.mesh_id = w.mesh_id AND q.name = w.queue
     WHERE w.id = ? AND w.visible_at IS NOT NULL`)
  const deleteDeliveries = db.prepare<[string]>(`DELETE FROM delivery_queue WHERE broker_message_id = ?`)
  const deleteMentions = db.prepare<[string]>(`DELETE FROM mention_index WHERE broker_message_id = ?`)
  const deleteHistory = db.prepare<[string, number]>(`DELETE FROM message_history WHERE mesh_id = ? AND history_id = ?`)
  const deleteMessage = db.prepare<[string]>(`DELETE FROM topic_message WHERE id = ?`)
  const deleteWork = db.prepare<[string]>(`DELETE FROM message_queue WHERE id = ?`)
  const flipAvailable = db.prepare<[string, string, string]>(`
    UPDATE client_message_dedupe SET history_available = 0
     WHERE mesh_id = ? AND sender = ? AND client_message_id = ? AND history_available = 1`)
  const deleteReceipts = db.prepare<[string, number, number]>(`
    DELETE FROM receipt WHERE (mesh_id, member_id, delivery_id) IN
           (SELECT mesh_id, member_id, delivery_id FROM receipt WHERE mesh_id = ? AND at < ? ORDER BY at LIMIT +?)`)
  const deleteDedupe = db.prepare<[number, number]>(`
    DELETE FROM client_message_dedupe WHERE seq IN
           (SELECT seq FROM client_message_dedupe
             WHERE expires_at IS NOT NULL AND history_available = 0 AND expires_at <= ? ORDER BY expires_at LIMIT +?)`)

  return {
    listMeshes: () => selectMeshes.all(),
    /** In the order in which they were accepted, without those of a clock that was ahead of `latest`. */
    oldestMessages: (meshId: string, o: { latest: number; limit: number }): readonly OldMessage[] =>
      selectOldest.all(meshId, o.latest, o.limit),
    waitingRecipients: (brokerMessageId: string) => selectWaiting.all(brokerMessageId),
    /** A message of a work queue that is neither done nor dead; who had it last, else the first that could have had it. */
    findUndone: (brokerMessageId: string): UndoneWork | null => selectUndone.get(brokerMessageId) ?? null,
    deleteMessage(meshId: string, message: OldMessage): number {
      const rows = deleteDeliveries.run(message.brokerMessageId).changes
      deleteMentions.run(message.brokerMessageId)
      deleteHistory.run(meshId, message.historyId)
      flipAvailable.run(meshId, message.sender, message.clientMessageId)
      deleteMessage.run(message.brokerMessageId)
      deleteWork.run(message.brokerMessageId)
      return rows + 1
    },
    deleteReceipts: (mesh: Pick<MemberKey, 'meshId'> & { before: number; limit: number }): number =>
      deleteReceipts.run(mesh.meshId, mesh.before, mesh.limit).changes,
    deleteDedupe: (options: { now: number; limit: number }): number =>
      deleteDedupe.run(options.now, options.limit).changes,
  }
}
