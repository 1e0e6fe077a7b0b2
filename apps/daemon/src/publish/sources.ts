/** What the publisher needs of the stores it reads and of the one it writes. */
import type { NewEvent, SourceCursor } from '../events/events.ts'
import type { InboxRow } from '../inbox/inbox.ts'
import type { AnnouncedChange } from '../outbox/outbox.ts'

/** Where changes of sends come from. `seq` grows and is never given twice. */
export interface AnnouncementSource {
  announcements(after: number, limit: number): readonly AnnouncedChange[]
  /** They may be forgotten, at once or later. */
  forgetAnnouncements(throughSeq: number): void
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
  /** @returns whether a power cut can take none of the events any more that there are now */
  append(events: readonly NewEvent[], cursor: SourceCursor | null): boolean
  cursor(source: SourceCursor['source']): { readonly generation: string; readonly position: number } | null
}
