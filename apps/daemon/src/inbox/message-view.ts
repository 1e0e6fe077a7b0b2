import { type JsonObject, type Message, type TraceContext, traceOfMeta, withoutShareKey } from '@claudemesh/protocol'
import type { InboxRow } from './inbox.ts'

/**
 * A row as its reader sees it.
 *
 * @param senderName from the directory; null when the sender is not in it
 */
export function toMessage(row: InboxRow, senderName: string | null): Message {
  const { contentType, mentions, trace, meta } = splitMeta(row.meta)
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
    ...traceFields(trace),
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
  readonly trace: TraceContext | null
  readonly meta: JsonObject | null
} {
  if (meta === null) return { contentType: null, mentions: [], trace: null, meta: null }
  const { $contentType: contentType, $mentions: mentions, $traceparent: _, $tracestate: __, ...own } = meta
  return {
    contentType: typeof contentType === 'string' ? contentType : null,
    mentions: Array.isArray(mentions) ? mentions.filter((mention) => typeof mention === 'string') : [],
    trace: traceOfMeta(meta),
    // Whoever may read a message may have the file; its key is of no use to them and would end up in their logs.
    meta: Object.keys(own).length === 0 ? null : withoutShareKey(own),
  }
}

/** The trace of a message as its views have it. */
export function traceFields(trace: TraceContext | null) {
  return { traceparent: trace?.traceparent ?? null, tracestate: trace?.tracestate ?? null }
}
