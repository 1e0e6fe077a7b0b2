/** The rows of the outbox as the rest of the daemon sees them. */
import type { DestinationKind, OutboxStatus, Priority } from '@claudemesh/protocol'

/** What a request becomes before it has a row. */
export interface OutboxDraft {
  readonly id: string
  readonly clientMessageId: string
  readonly requestFingerprint: Buffer
  readonly destinationKind: DestinationKind
  readonly destinationRef: string
  readonly priority: Priority
  /** The envelope: canonical meta and body. */
  readonly payload: Buffer
  /** Bytes of the body alone. */
  readonly messageBytes: number
  readonly replyToId: string | null
  /** Member ids. */
  readonly mentions: readonly string[]
  /** The names as the caller wrote them. */
  readonly addressed: string
  /** Whether receipts beyond `accepted` are asked for. */
  readonly receipts: boolean
}

/** A row without its contents: what lists and answers need. */
export interface OutboxSummary {
  readonly id: string
  readonly clientMessageId: string
  readonly requestFingerprint: Buffer
  readonly destinationKind: DestinationKind
  readonly destinationRef: string
  readonly priority: Priority
  readonly status: OutboxStatus
  readonly enqueuedAt: number
  readonly attempts: number
  readonly nextAttemptAt: number
  readonly lastError: string | null
  readonly deliveredAt: number | null
  readonly brokerMessageId: string | null
  readonly historyId: string | null
  readonly abortedAt: number | null
  readonly abortedBy: string | null
  readonly supersededBy: string | null
  readonly releasedAt: number | null
  readonly replyToId: string | null
  readonly mentions: readonly string[]
  readonly addressed: string
  readonly receipts: boolean
  readonly messageBytes: number
  readonly recipientCount: number | null
}

/** A whole row. `payload` is null when retention has removed it. */
export interface OutboxRow extends OutboxSummary {
  readonly payload: Buffer | null
  readonly sealed: Buffer | null
  readonly wireFingerprint: Buffer | null
  /** Of which set of subscribers `sealed` is for; null when nothing is sealed or the destination has none. */
  readonly recipientsEpoch: number | null
  /** When it came out of a backup in which it was still to be sent; null for a row of this outbox's own. */
  readonly restoredAt: number | null
}

/** A row and its place in the order of acceptance. */
export interface PositionedRow {
  readonly position: number
  readonly row: OutboxRow
}

/** What sealing needs of a row or a draft. */
export type SealableRow = Pick<
  OutboxRow,
  'clientMessageId' | 'destinationKind' | 'destinationRef' | 'replyToId' | 'priority' | 'payload'
>

/** What sealing a row gives: the bytes that travel and their fingerprint. */
export interface SealedMessage {
  readonly sealed: Buffer
  readonly wireFingerprint: Buffer
  /** Of which set of subscribers it is for; null when the destination has none. */
  readonly recipientsEpoch: number | null
}

/** A row that a claim may take. `position` orders rows by acceptance. */
export interface Claimable {
  readonly position: number
  readonly bytes: number
}

export interface StoredReceipt {
  readonly recipient: string
  readonly state: 'delivered' | 'read' | 'undeliverable'
  readonly at: number
  readonly reason: string | null
}

/** A change that must still become an event. `state` is the row's status or the receipt's state. */
export interface Announcement {
  readonly outboxId: string
  readonly kind: 'settled' | 'receipt'
  readonly recipient: string | null
  readonly state: string
}

/** An announcement with what there is to tell of it: of its row, null once that is pruned, and of its receipt. */
export interface AnnouncedChange extends Announcement {
  readonly seq: number
  readonly clientMessageId: string | null
  readonly brokerMessageId: string | null
  readonly historyId: string | null
  readonly recipientCount: number | null
  readonly lastError: string | null
  readonly destinationKind: DestinationKind | null
  readonly destinationRef: string | null
  /** When the broker accepted it, or an operator ended it. */
  readonly endedAt: number | null
  /** When the receipt was made, and why; null for the end of a row. */
  readonly at: number | null
  readonly reason: string | null
}

/** What becomes of one inflight row. */
export type Settlement =
  | {
      readonly outboxId: string
      readonly move: 'accepted'
      readonly brokerMessageId: string
      readonly historyId: string
      readonly recipientCount: number
    }
  | {
      readonly outboxId: string
      readonly move: 'retry'
      readonly delayMs: number
      readonly lastError: string
      /** The recipients changed: the frozen bytes are for the wrong ones and go. */
      readonly reseal: boolean
    }
  | { readonly outboxId: string; readonly move: 'refused'; readonly lastError: string }

export interface SettleOutcome {
  readonly settled: readonly string[]
  /** Rows that were not inflight any more; nothing changed for them. */
  readonly late: readonly string[]
}

/** The summary of a row as it stands right after its insertion, without reading it back. */
export function summaryOfDraft(draft: OutboxDraft, now: number): OutboxSummary {
  return {
    id: draft.id,
    clientMessageId: draft.clientMessageId,
    requestFingerprint: draft.requestFingerprint,
    destinationKind: draft.destinationKind,
    destinationRef: draft.destinationRef,
    priority: draft.priority,
    status: 'pending',
    enqueuedAt: now,
    attempts: 0,
    nextAttemptAt: now,
    lastError: null,
    deliveredAt: null,
    brokerMessageId: null,
    historyId: null,
    abortedAt: null,
    abortedBy: null,
    supersededBy: null,
    releasedAt: null,
    replyToId: draft.replyToId,
    mentions: draft.mentions,
    addressed: draft.addressed,
    receipts: draft.receipts,
    messageBytes: draft.messageBytes,
    recipientCount: null,
  }
}
