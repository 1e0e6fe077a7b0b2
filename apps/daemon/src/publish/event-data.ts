/** The data of the events that come from stored rows: enough for a reader to print without asking again. */
import type { DecisionEvent } from '@claudemesh/protocol'
import type { InboxRow } from '../inbox/inbox.ts'
import { toMessage } from '../inbox/message-view.ts'
import { eventBodyCharactersMax } from '../limits.ts'
import type { AnnouncedChange } from '../outbox/outbox.ts'

type EventData = Readonly<Record<string, unknown>>

/** The message as `GET /v1/messages/:id` has it. `truncated` says that its body or meta is there only in part. */
export function messageData(row: InboxRow, senderName: string | null): EventData {
  const message = toMessage(row, senderName)
  const body = message.message === null ? null : cut(message.message)
  const isMetaTooLarge = message.meta !== null && JSON.stringify(message.meta).length > eventBodyCharactersMax
  return {
    ...message,
    message: body,
    meta: isMetaTooLarge ? null : message.meta,
    truncated: body !== message.message || isMetaTooLarge,
  }
}

/** Between whole characters: half a surrogate pair is no text. */
function cut(text: string): string {
  if (text.length <= eventBodyCharactersMax) return text
  const last = text.charCodeAt(eventBodyCharactersMax - 1)
  const isHalf = last >= 0xd800 && last <= 0xdbff
  return text.slice(0, isHalf ? eventBodyCharactersMax - 1 : eventBodyCharactersMax)
}

/** What became of a send. An operator may have pruned its row since. */
export function settledData(change: AnnouncedChange): EventData {
  return {
    ...rowData(change),
    status: change.state,
    history_id: change.historyId,
    recipient_count: change.recipientCount,
    last_error: change.lastError,
  }
}

/** What is proven at one recipient. */
export function receiptData(change: AnnouncedChange): EventData {
  const { recipient, state, at, reason } = change
  return { ...rowData(change), recipient, state, at, reason }
}

/** A decision as it is in the log, without its signature. `truncated` says that its payload is too large for an event. */
export function decisionData({ sig: _, payload, ...event }: DecisionEvent): EventData {
  const truncated = JSON.stringify(payload).length > eventBodyCharactersMax
  return { ...event, payload: truncated ? null : payload, truncated }
}

function rowData({ outboxId, clientMessageId, brokerMessageId }: AnnouncedChange): EventData {
  return { outbox_id: outboxId, client_message_id: clientMessageId, broker_message_id: brokerMessageId }
}
