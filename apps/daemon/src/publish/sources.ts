/** What the publisher needs of the stores it reads and of the one it writes. */
import type { NewEvent, SourceCursor } from '../events/events.ts'
import type { InboxRow } from '../inbox/inbox.ts'

/** A change of the outbox that must still become an event. */
export interface Announcement {
  readonly seq: number
  readonly outboxId: string
  readonly kind: 'settled' | 'receipt'
  readonly recipient: string | null
  readonly state: string
}

/** What an event tells of the row it is about. */
export interface AnnouncedRow {
  readonly clientMessageId: string
  readonly brokerMessageId: string | null
  readonly historyId: string | null
  readonly recipientCount: number | null
  readonly lastError: string | null
}

export interface AnnouncedReceipt {
  readonly recipient: string
  readonly state: string
  readonly at: number
  readonly reason: string | null
}

/** Where changes of sends come from. `seq` grows and is never given twice. */
export interface AnnouncementSource {
  announcements(limit: number): readonly Announcement[]
  forgetAnnouncements(throughSeq: number): void
  summary(outboxId: string): AnnouncedRow | null
  receipts(outboxId: string): readonly AnnouncedReceipt[]
}

/** Where messages come from. */
export interface MessageSource {
  readonly generation: string
  readonly rebuilt: { readonly at: number; readonly from: string | null } | null
  readonly lastSeq: number
  after(seq: number, limit: number): readonly InboxRow[]
}

/** Where events go. */
export interface EventSink {
  readonly rebuiltAt: number | null
  append(events: readonly NewEvent[], cursor: SourceCursor | null): void
  cursor(source: SourceCursor['source']): { readonly generation: string; readonly position: number } | null
}
