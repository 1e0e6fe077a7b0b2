import type { HistoryItem } from '@claudemesh/protocol'
import type { Message } from '../store/rows.ts'
import { type RequestHandler, responseBytesMax } from './request-handler.ts'

/** The next messages that were addressed to the caller, as many as one response carries. */
export const pageHistory: RequestHandler<'history.page'> = async ({ store }, caller, { after, since, limit }) => {
  const page = await store.pageHistory(caller, {
    after: Number(after ?? 0),
    since,
    limit,
    bytesMax: responseBytesMax,
  })
  return {
    messages: page.messages.map(toHistoryItem),
    next: page.more ? String(page.messages.at(-1)?.historyId ?? 0) : null,
  }
}

/** A message as it travels. */
export function toHistoryItem(message: Message): HistoryItem {
  return {
    broker_message_id: message.brokerMessageId,
    history_id: String(message.historyId),
    client_message_id: message.clientMessageId,
    sender: message.sender,
    destination: message.destination,
    reply_to: message.replyTo,
    priority: message.priority,
    sealed: message.sealed.toString('base64'),
    accepted_at: message.acceptedAt,
  }
}
