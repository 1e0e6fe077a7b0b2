/** Messages of work queues as their readers see them. */
import type { DeadItem, DeadMessage, QueueItem, WorkMessage } from '@claudemesh/protocol'
import type { MessageContent } from '../inbox/inbox.ts'
import { splitMeta, traceFields } from '../inbox/message-view.ts'
import type { SealedWork } from './opener.ts'

type Opened = Extract<MessageContent, { opened: true }>

export function toWorkMessage(
  item: QueueItem,
  o: { readonly queue: string; readonly senderName: string | null; readonly content: Opened },
): WorkMessage {
  return {
    ...carried(item, o),
    message: o.content.body,
    lease_id: item.lease_id,
    lease_until: item.lease_until,
  }
}

export function toDeadMessage(
  item: DeadItem,
  o: {
    readonly queue: string
    readonly senderName: string | null
    readonly consumerName: string | null
    readonly content: MessageContent
  },
): DeadMessage {
  const { content } = o
  return {
    ...carried(item, o),
    message: content.opened ? content.body : null,
    opened: content.opened,
    unopened_reason: content.opened ? null : content.reason,
    consumer: item.consumer,
    consumer_name: o.consumerName,
    died_at: item.died_at,
    reason: item.reason,
  }
}

function carried(
  item: SealedWork,
  o: { readonly queue: string; readonly senderName: string | null; readonly content: MessageContent },
) {
  const { contentType, mentions, trace, meta } = splitMeta(o.content.opened ? o.content.meta : null)
  return {
    id: item.broker_message_id,
    client_message_id: item.client_message_id,
    history_id: item.history_id,
    queue: o.queue,
    sender: item.sender,
    sender_name: o.senderName,
    reply_to_id: item.reply_to,
    priority: item.priority,
    meta,
    content_type: contentType,
    mentions,
    ...traceFields(trace),
    accepted_at: item.accepted_at,
    deliveries: item.deliveries,
  }
}
