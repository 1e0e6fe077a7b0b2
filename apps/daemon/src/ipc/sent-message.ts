import { decodeEnvelope, type Message } from '@claudemesh/protocol'
import { splitMeta, traceFields } from '../inbox/message-view.ts'
import type { OutboxRow } from '../outbox/outbox.ts'

/**
 * A sent message as a reader of threads sees it, beside the received ones. Null before the broker has accepted it: it
 * has no id yet that anybody could reply to.
 */
export function toSentMessage(row: OutboxRow, self: { memberId: string; name: string }): Message | null {
  if (row.brokerMessageId === null) return null
  const opened = row.payload === null ? null : decodeEnvelope(row.payload)
  const { contentType, mentions, trace, meta } = splitMeta(opened?.meta ?? null)
  return {
    id: row.brokerMessageId,
    direction: 'sent',
    history_id: row.historyId,
    client_message_id: row.clientMessageId,
    sender: self.memberId,
    sender_name: self.name,
    destination_kind: row.destinationKind,
    destination_ref: row.destinationRef,
    reply_to_id: row.replyToId,
    priority: row.priority,
    message: opened === null ? null : opened.body.toString('utf8'),
    meta,
    content_type: contentType,
    mentions,
    ...traceFields(trace),
    opened: true,
    unopened_reason: null,
    accepted_at: row.deliveredAt ?? row.enqueuedAt,
    received_at: null,
    read_at: null,
  }
}
