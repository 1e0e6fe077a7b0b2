/** The rows of the inbox as the rest of the daemon sees them, and what they are made of. */
import type { Destination, DestinationKind, JsonObject, Priority } from '@claudemesh/protocol'
import type { Runtime } from '../runtime.ts'

/** How a row came: delivered to this host, or read back from the broker's history. */
export type Origin = 'delivery' | 'history'

export interface InboxRow {
  /** Order of arrival on this host. */
  readonly seq: number
  readonly brokerMessageId: string
  readonly clientMessageId: string
  readonly sender: string
  readonly historyId: string
  readonly destinationKind: DestinationKind
  readonly destinationRef: string
  readonly replyToId: string | null
  readonly priority: Priority
  readonly origin: Origin
  readonly opened: boolean
  /** Null when the message could not be opened. */
  readonly body: string | null
  readonly meta: JsonObject | null
  /** Why it could not be opened; null when it was. */
  readonly unopenedReason: UnopenedReason | null
  readonly acceptedAt: number
  readonly receivedAt: number
  readonly readAt: number | null
}

/**
 * Why a message could not be opened.
 *
 * - `malformed`: the bytes are no sealed message of a known version
 * - `header_mismatch`: the broker delivered it as something else than the sender wrote
 * - `sender_unknown`: no verified chain gives its sender the key that it was sealed with
 * - `not_a_recipient`: it was not sealed for this member, or for a key that is no longer kept
 * - `not_authentic`: the member that is named as its sender did not seal these bytes
 * - `content_unreadable`: it is authentic, and what is inside is no message
 */
export type UnopenedReason =
  | 'malformed'
  | 'header_mismatch'
  | 'sender_unknown'
  | 'not_a_recipient'
  | 'not_authentic'
  | 'content_unreadable'

/** A kept message that may be tried again, with the bytes it came in. */
export interface UnopenedMessage extends Omit<InboxDraft, 'content'> {
  readonly seq: number
  readonly origin: Origin
  readonly sealed: Uint8Array
}

/** A kept message that was tried again in vain. */
export interface StillUnopened {
  readonly seq: number
  readonly reason: UnopenedReason
}

/** A message that was marked read, and when. `seq` orders reports by when they were made. */
export interface ReadReport {
  readonly seq: number
  readonly brokerMessageId: string
  readonly at: number
}

/** What `insert` binds: a row before it has a seq, with its sealed bytes when it could not be opened. */
export interface InsertedRow extends Omit<InboxRow, 'seq' | 'readAt' | 'meta'> {
  readonly metaJson: string | null
  readonly sealed: Uint8Array | null
}

export interface InboxState {
  readonly generation: string
  readonly rebuiltAt: number | null
  readonly rebuiltFrom: string | null
  readonly refetch: 'none' | 'running'
  readonly refetchAfter: string | null
}

/** A message as it came, before it is a row. */
export interface InboxDraft {
  readonly brokerMessageId: string
  readonly clientMessageId: string
  /** Member id. */
  readonly sender: string
  readonly historyId: string
  readonly destination: Destination
  readonly replyToId: string | null
  readonly priority: Priority
  readonly acceptedAt: number
  readonly content: MessageContent
}

/** A draft and how it came. */
export interface ArrivedDraft {
  readonly draft: InboxDraft
  readonly origin: Origin
}

export function withOrigin(drafts: readonly InboxDraft[], origin: Origin): ArrivedDraft[] {
  return drafts.map((draft) => ({ draft, origin }))
}

/** What was found inside a message, or the bytes that could not be opened. */
export type MessageContent =
  | { readonly opened: true; readonly body: string; readonly meta: JsonObject | null }
  | { readonly opened: false; readonly sealed: Uint8Array; readonly reason: UnopenedReason }

/**
 * What became of one draft. `duplicate`: the message was there, opened. `duplicate_sealed`: it was there and is still
 * not opened. `conflict`: its broker_message_id belongs to another message, so it was not stored.
 */
export type StoreOutcome = 'stored' | 'duplicate' | 'duplicate_sealed' | 'conflict'

/** Where reading back from the broker's history stands, in an inbox that took the place of a damaged one. */
export interface Refetch {
  readonly rebuiltAt: number
  /** Cursor of the last page that was stored; null before the first. */
  readonly after: string | null
}

/** A draft as the row that it becomes. */
export function toInsertedRow(draft: InboxDraft, origin: Origin, receivedAt: number): InsertedRow {
  const { content, destination } = draft
  return {
    brokerMessageId: draft.brokerMessageId,
    clientMessageId: draft.clientMessageId,
    sender: draft.sender,
    historyId: draft.historyId,
    destinationKind: destination.kind,
    destinationRef: destination.ref,
    replyToId: draft.replyToId,
    priority: draft.priority,
    origin,
    opened: content.opened,
    body: content.opened ? content.body : null,
    metaJson: content.opened && content.meta !== null ? JSON.stringify(content.meta) : null,
    sealed: content.opened ? null : content.sealed,
    unopenedReason: content.opened ? null : content.reason,
    acceptedAt: draft.acceptedAt,
    receivedAt,
  }
}

/** Of a file that holds nothing yet. */
export function firstState(o: { runtime: Runtime; predecessor: string | null; hadOne: boolean }): InboxState {
  const isReplacement = o.predecessor !== null || o.hadOne
  return {
    generation: o.runtime.nextId(),
    rebuiltAt: isReplacement ? o.runtime.now() : null,
    rebuiltFrom: o.predecessor,
    refetch: isReplacement ? 'running' : 'none',
    refetchAfter: null,
  }
}
