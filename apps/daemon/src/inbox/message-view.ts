import { type JsonObject, type Message, withoutShareKey } from '@claudemesh/protocol'
import type { InboxRow } from './inbox.ts'

/**
 * A row as its reader sees it.
 *
 * @param senderName from the directory; null when the sender is not in it
 */
export function toMessage(row: InboxRow, senderName: string | null): Message {
  const { contentType, mentions, meta } = splitMeta(row.meta)
  return {
    id: row.brokerMessageId,
    direction: 'received',
    history_id: row.historyId,
    client_message_id: row.clientMessageId,
    sender: row.sender,
    sender_name: senderName,
    destination_kind: row.destinationKind,
    destination_ref: row.destinationRef,
    reply_to_id: row.replyToId,
    priority: row.priority,
    message: row.body,
    meta,
    content_type: contentType,
    mentions,
    opened: row.opened,
    unopened_reason: row.unopenedReason,
    accepted_at: row.acceptedAt,
    received_at: row.receivedAt,
    read_at: row.readAt,
  }
}

/** What a sender's daemon added to meta under reserved names (02 §3), told apart from the caller's own members. */
export function splitMeta(meta: JsonObject | null): {
  readonly contentType: string | null
  readonly mentions: string[]
  readonly meta: JsonObject | null
} {
  if (meta === null) return { contentType: null, mentions: [], meta: null }
  const { $contentType: contentType, $mentions: mentions, ...own } = meta
  return {
    contentType: typeof contentType === 'string' ? contentType : null,
    mentions: Array.isArray(mentions) ? mentions.filter((mention) => typeof mention === 'string') : [],
    // Whoever may read a message may have the file; its key is of no use to them and would end up in their logs.
    meta: Object.keys(own).length === 0 ? null : withoutShareKey(own),
  }
}
