/** The data of the events that come from stored rows: enough for a reader to print without asking again. */
import type { InboxRow } from '../inbox/inbox.ts'
import { toMessage } from '../inbox/message-view.ts'
import { eventBodyCharactersMax } from '../limits.ts'
import type { AnnouncedReceipt, AnnouncedRow, Announcement } from './sources.ts'

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

/** What became of a send. `row` is null when an operator has pruned it since. */
export function settledData(announcement: Announcement, row: AnnouncedRow | null): EventData {
  return {
    ...rowData(announcement, row),
    status: announcement.state,
    history_id: row?.historyId ?? null,
    recipient_count: row?.recipientCount ?? null,
    last_error: row?.lastError ?? null,
  }
}

/** What is proven at one recipient. */
export function receiptData(
  announcement: Announcement,
  row: AnnouncedRow | null,
  receipt: AnnouncedReceipt | null,
): EventData {
  return {
    ...rowData(announcement, row),
    recipient: announcement.recipient,
    state: announcement.state,
    at: receipt?.at ?? null,
    reason: receipt?.reason ?? null,
  }
}

function rowData(announcement: Announcement, row: AnnouncedRow | null): EventData {
  return {
    outbox_id: announcement.outboxId,
    client_message_id: row?.clientMessageId ?? null,
    broker_message_id: row?.brokerMessageId ?? null,
  }
}
