import type { Destination } from '@claudemesh/protocol'
import type { Database } from '@claudemesh/storage'
import type { MemberStatus } from '../../member-states.ts'
import type { Accepted, MessageKey } from '../../rows.ts'
import type { AcceptItem } from '../../store.ts'

interface DedupeRow {
  readonly brokerMessageId: string
  readonly historyId: number
  readonly fingerprint: Buffer
  readonly recipientCount: number
  readonly firstSeenAt: number
  readonly historyAvailable: number
}

export type AcceptStatements = ReturnType<typeof prepareAccept>

export function prepareAccept(db: Database) {
  const selectDedupe = db.prepare<[string, string, string], DedupeRow>(`
    SELECT broker_message_id AS brokerMessageId, history_id AS historyId, request_fingerprint AS fingerprint,
           recipient_count AS recipientCount, first_seen_at AS firstSeenAt, history_available AS historyAvailable
      FROM client_message_dedupe WHERE mesh_id = ? AND sender = ? AND client_message_id = ?`)
  const insertDedupe = db.prepare(`
    INSERT INTO client_message_dedupe (mesh_id, sender, client_message_id, broker_message_id, history_id,
           request_fingerprint, destination_kind, destination_ref, recipient_count, first_seen_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (mesh_id, sender, client_message_id) DO NOTHING`)
  const insertMessage = db.prepare(`
    INSERT INTO topic_message (id, mesh_id, history_id, client_message_id, sender, destination_kind, destination_ref,
           reply_to, priority, receipts, accepted_at, sealed)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const insertHistory = db.prepare<[string, number, string]>(`
    INSERT INTO message_history (mesh_id, history_id, broker_message_id) VALUES (?, ?, ?)`)
  const insertDelivery = db.prepare<[string, string, number, string]>(`
    INSERT INTO delivery_queue (mesh_id, recipient, delivery_id, broker_message_id) VALUES (?, ?, ?, ?)`)
  const insertTopicDeliveries = db.prepare<
    { base: number; id: string; meshId: string; topic: string; sender: string },
    { recipient: string }
  >(`
    INSERT INTO delivery_queue (mesh_id, recipient, delivery_id, broker_message_id)
    SELECT mesh_id, member_id, @base + row_number() OVER (ORDER BY member_id), @id
      FROM topic_subscription WHERE mesh_id = @meshId AND topic = @topic AND member_id <> @sender
    RETURNING recipient`)
  const updateRecipientCount = db.prepare<[number, string, string, string]>(`
    UPDATE client_message_dedupe SET recipient_count = ? WHERE mesh_id = ? AND sender = ? AND client_message_id = ?`)
  const insertMention = db.prepare<[string, string, string]>(`
    INSERT INTO mention_index (mesh_id, mentioned, broker_message_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`)
  const selectMemberStatus = db.prepare<[string, string], { status: MemberStatus }>(`
    SELECT status FROM member WHERE mesh_id = ? AND member_id = ?`)
  const selectTopicEpoch = db.prepare<[string, string], { recipientsEpoch: number }>(`
    SELECT recipients_epoch AS recipientsEpoch FROM topic WHERE mesh_id = ? AND name = ?`)

  return {
    findAccepted(key: MessageKey): Accepted | null {
      const row = selectDedupe.get(key.meshId, key.sender, key.clientMessageId)
      return row === undefined ? null : { ...row, historyAvailable: row.historyAvailable === 1 }
    },
    /** @returns 0 when the id is there already */
    insertDedupe: (item: AcceptItem, given: { historyId: number; recipientCount: number }): number =>
      insertDedupe.run(
        item.meshId,
        item.sender,
        item.clientMessageId,
        item.brokerMessageId,
        given.historyId,
        item.fingerprint,
        item.destination.kind,
        item.destination.ref,
        given.recipientCount,
        item.acceptedAt,
        item.dedupeExpiresAt,
      ).changes,
    insertMessage: (item: AcceptItem, historyId: number): void =>
      void insertMessage.run(
        item.brokerMessageId,
        item.meshId,
        historyId,
        item.clientMessageId,
        item.sender,
        item.destination.kind,
        item.destination.ref,
        item.replyTo,
        item.priority,
        item.receipts ? 1 : 0,
        item.acceptedAt,
        item.sealed,
      ),
    insertHistory: (item: AcceptItem, historyId: number): void =>
      void insertHistory.run(item.meshId, historyId, item.brokerMessageId),
    insertDelivery: (item: AcceptItem, to: { recipient: string; deliveryId: number }): void =>
      void insertDelivery.run(item.meshId, to.recipient, to.deliveryId, item.brokerMessageId),
    /** One row per subscriber but the sender, numbered from `base + 1`. @returns the subscribers */
    insertTopicDeliveries: (item: AcceptItem, base: number): readonly string[] =>
      insertTopicDeliveries
        .all({
          base,
          id: item.brokerMessageId,
          meshId: item.meshId,
          topic: item.destination.ref,
          sender: item.sender,
        })
        .map((row) => row.recipient),
    setRecipientCount: (item: AcceptItem, count: number): number =>
      updateRecipientCount.run(count, item.meshId, item.sender, item.clientMessageId).changes,
    insertMention: (item: AcceptItem, mentioned: string): void =>
      void insertMention.run(item.meshId, mentioned, item.brokerMessageId),
    memberStatus: (meshId: string, memberId: string) => selectMemberStatus.get(meshId, memberId)?.status ?? null,
    topicEpoch: (meshId: string, topic: Destination['ref']) =>
      selectTopicEpoch.get(meshId, topic)?.recipientsEpoch ?? null,
  }
}
