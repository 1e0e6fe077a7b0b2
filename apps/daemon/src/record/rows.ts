/** What the stores of the daemon hold, as rows of the history (08 §1). */
import type { HistoryContent } from '@claudemesh/history'
import {
  type DestinationKind,
  decodeEnvelope,
  findUncarriable,
  formatDestination,
  type JsonObject,
  limits,
  withoutShareKey,
} from '@claudemesh/protocol'
import type { StoredEvent } from '../events/events.ts'
import type { InboxRow } from '../inbox/inbox.ts'
import type { AnnouncedChange, OutboxRow } from '../outbox/outbox.ts'

/** Whose history it is. */
export interface Owner {
  /** Slug of the mesh. */
  readonly mesh: string
  readonly memberId: string
}

const none = { client_message_id: null, broker_message_id: null, history_id: null, body: null, meta: null } as const

/** A send as it was accepted here; what becomes of it follows as receipts. */
export function sentRow(owner: Owner, row: OutboxRow, isRequeued: boolean): HistoryContent {
  const opened = row.payload === null ? null : decodeEnvelope(row.payload)
  return {
    ...none,
    direction: 'sent',
    mesh: owner.mesh,
    at: row.enqueuedAt,
    sender: owner.memberId,
    destination: formatDestination({ kind: row.destinationKind, ref: row.destinationRef }),
    client_message_id: row.clientMessageId,
    body: opened === null ? null : opened.body.toString('utf8'),
    meta: metaOf(opened?.meta ?? null, row.replyToId),
    state: isRequeued ? 'requeued' : 'queued',
  }
}

/** A message as it came. One that is opened later comes once more. */
export function receivedRow(owner: Owner, row: InboxRow): HistoryContent {
  return {
    direction: 'received',
    mesh: owner.mesh,
    // The broker's time: the same when the message is delivered once more to an inbox that has lost it.
    at: row.acceptedAt,
    sender: row.sender,
    destination: formatDestination({ kind: row.destinationKind, ref: row.destinationRef }),
    client_message_id: row.clientMessageId,
    broker_message_id: row.brokerMessageId,
    history_id: row.historyId,
    body: row.body,
    meta: row.opened ? metaOf(row.meta, row.replyToId) : { $unopened: row.unopenedReason },
    state: row.opened ? 'received' : 'unopened',
  }
}

/** What became of a send: its end, or what is proven at one recipient. */
export function receiptRow(owner: Owner, change: AnnouncedChange, now: number): HistoryContent {
  const { recipient, destinationKind: kind, destinationRef: ref, lastError, reason } = change
  const why = recipient === null ? lastError : reason
  return {
    ...none,
    direction: 'receipt',
    mesh: owner.mesh,
    at: change.at ?? change.endedAt ?? now,
    sender: owner.memberId,
    destination: recipient ?? destinationOf(kind, ref),
    client_message_id: change.clientMessageId,
    broker_message_id: change.brokerMessageId,
    history_id: change.historyId,
    meta: why === null ? { outbox_id: change.outboxId } : { outbox_id: change.outboxId, reason: why },
    state: change.state === 'done' ? 'accepted' : change.state,
  }
}

/** Something that happened to this daemon. */
export function eventRow(owner: Owner, event: StoredEvent): HistoryContent {
  const meta = { event_id: String(event.id), ...event.data } as JsonObject
  const isCarriable = findUncarriable(meta, limits.metaDepthMax) === null
  return {
    ...none,
    direction: 'event',
    mesh: owner.mesh,
    at: event.at,
    sender: null,
    destination: null,
    meta: isCarriable ? meta : { event_id: String(event.id) },
    state: event.type,
  }
}

/** Whoever may read the history may have the shared file; its key is of no use to them. */
function metaOf(meta: JsonObject | null, replyToId: string | null): JsonObject | null {
  const shown = meta === null ? null : withoutShareKey(meta)
  return replyToId === null ? shown : { ...shown, $replyTo: replyToId }
}

function destinationOf(kind: DestinationKind | null, ref: string | null): string | null {
  return kind === null || ref === null ? null : formatDestination({ kind, ref })
}
