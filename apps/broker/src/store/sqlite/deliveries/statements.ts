import type { Database } from '@claudemesh/storage'
import type { Delivery, MemberKey, Message, Receipt } from '../../rows.ts'
import { type MessageRow, messageColumns, toMessage } from '../../statements.ts'

export type DeliveryStatements = ReturnType<typeof prepareDeliveries>

export function prepareDeliveries(db: Database) {
  const selectDeliveries = db.prepare<[string, string, number], MessageRow & { deliveryId: number }>(`
    SELECT d.delivery_id AS deliveryId, ${messageColumns}
      FROM delivery_queue d CROSS JOIN topic_message m ON m.id = d.broker_message_id
     WHERE d.mesh_id = ? AND d.recipient = ? AND d.delivery_id > ? ORDER BY d.delivery_id`)
  const selectReceipts = db.prepare<[string, string, number], Receipt>(`
    SELECT delivery_id AS deliveryId, broker_message_id AS brokerMessageId, client_message_id AS clientMessageId,
           recipient, state, reason, at
      FROM receipt WHERE mesh_id = ? AND member_id = ? AND delivery_id > ? ORDER BY delivery_id`)
  const deleteDelivery = db.prepare<[string, string, number], { brokerMessageId: string }>(`
    DELETE FROM delivery_queue WHERE mesh_id = ? AND recipient = ? AND delivery_id = ?
    RETURNING broker_message_id AS brokerMessageId`)
  const deleteReceipt = db.prepare<[string, string, number]>(`
    DELETE FROM receipt WHERE mesh_id = ? AND member_id = ? AND delivery_id = ?`)
  const selectOrigin = db.prepare<[string], { sender: string; clientMessageId: string; receipts: number }>(`
    SELECT sender, client_message_id AS clientMessageId, receipts FROM topic_message WHERE id = ?`)
  const selectAddressed = db.prepare<{ meshId: string; memberId: string; id: string }, { acceptedAt: number }>(`
    SELECT m.accepted_at AS acceptedAt FROM topic_message m
     WHERE m.id = @id AND m.mesh_id = @meshId AND m.receipts = 1
       AND (m.destination_kind = 'dm' AND m.destination_ref = @memberId
         OR m.destination_kind = 'topic' AND m.sender <> @memberId AND EXISTS
              (SELECT 1 FROM topic_subscription s
                WHERE s.mesh_id = m.mesh_id AND s.topic = m.destination_ref AND s.member_id = @memberId
                  AND s.since_history_id < m.history_id
                UNION ALL
               SELECT 1 FROM topic_subscription_past p
                WHERE p.mesh_id = m.mesh_id AND p.member_id = @memberId AND p.topic = m.destination_ref
                  AND p.since_history_id < m.history_id AND p.until_history_id >= m.history_id))`)
  const insertRead = db.prepare<[string, string]>(`
    INSERT INTO message_read (broker_message_id, member_id) VALUES (?, ?) ON CONFLICT DO NOTHING`)
  const insertReceipt = db.prepare(`
    INSERT INTO receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state,
           reason, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const selectHistoryIds = db.prepare<
    { meshId: string; kind: string; ref: string; after: number; since: number; except: string; limit: number },
    { historyId: number }
  >(`
    SELECT history_id AS historyId FROM topic_message
     WHERE mesh_id = @meshId AND destination_kind = @kind AND destination_ref = @ref AND history_id > @after
       AND accepted_at >= @since AND sender <> @except ORDER BY history_id LIMIT +@limit`)
  const selectByHistoryId = db.prepare<[string, number], MessageRow>(`
    SELECT ${messageColumns} FROM message_history h CROSS JOIN topic_message m ON m.id = h.broker_message_id
     WHERE h.mesh_id = ? AND h.history_id = ?`)
  const selectReadableTopics = db.prepare<[string, string], { topic: string; sinceHistoryId: number }>(`
    SELECT topic, since_history_id AS sinceHistoryId FROM topic_subscription INDEXED BY topic_subscription_by_member
     WHERE mesh_id = ? AND member_id = ?`)

  return {
    *deliveriesAfter(key: MemberKey, after: number): Generator<Delivery> {
      for (const row of selectDeliveries.iterate(key.meshId, key.memberId, after)) {
        yield { deliveryId: row.deliveryId, message: toMessage(row) }
      }
    },
    receiptsAfter: (key: MemberKey, after: number) => selectReceipts.iterate(key.meshId, key.memberId, after),
    /** @returns null when there was no such delivery */
    deleteDelivery: (key: MemberKey, deliveryId: number) =>
      deleteDelivery.get(key.meshId, key.memberId, deliveryId)?.brokerMessageId ?? null,
    deleteReceipt: (key: MemberKey, deliveryId: number): number =>
      deleteReceipt.run(key.meshId, key.memberId, deliveryId).changes,
    /** Who sent a message, and whether they want to hear of it. */
    findOrigin: (brokerMessageId: string) => selectOrigin.get(brokerMessageId),
    /** A message that was addressed to a member and whose sender wants to hear of it. */
    findAddressed: ({ meshId, memberId }: MemberKey, id: string) => selectAddressed.get({ meshId, memberId, id }),
    /** @returns 0 when it was reported before */
    insertRead: (reader: MemberKey, brokerMessageId: string): number =>
      insertRead.run(brokerMessageId, reader.memberId).changes,
    insertReceipt: (to: MemberKey, receipt: Receipt): void =>
      void insertReceipt.run(
        to.meshId,
        to.memberId,
        receipt.deliveryId,
        receipt.brokerMessageId,
        receipt.clientMessageId,
        receipt.recipient,
        receipt.state,
        receipt.reason,
        receipt.at,
      ),
    /** Positions of the messages to one destination, except those of one sender ('' excepts nobody). */
    historyIdsOf: (
      destination: { readonly meshId: string; readonly kind: 'dm' | 'topic'; readonly ref: string },
      page: { readonly after: number; readonly since: number; readonly except: string; readonly limit: number },
    ): readonly number[] => selectHistoryIds.all({ ...destination, ...page }).map((row) => row.historyId),
    findByHistoryId: (meshId: string, historyId: number): Message | null => {
      const row = selectByHistoryId.get(meshId, historyId)
      return row === undefined ? null : toMessage(row)
    },
    readableTopics: (key: MemberKey) => selectReadableTopics.all(key.meshId, key.memberId),
  }
}
