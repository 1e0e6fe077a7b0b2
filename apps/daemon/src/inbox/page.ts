import { inboxPageCharactersMax } from '../limits.ts'
import type { InboxRow } from './rows.ts'

export interface InboxPageRequest {
  readonly order: 'newest' | 'oldest'
  /** Id of the last message seen. */
  readonly after: string | null
  /** Only messages received at or after this time. */
  readonly since: number | null
  readonly topic: string | null
  /** Member id. */
  readonly sender: string | null
  readonly unread: boolean
  readonly limit: number
}

export interface InboxRows {
  readonly rows: readonly InboxRow[]
  /** What to give as `after` for the next page, null at the end. */
  readonly next: string | null
}

/** Takes rows up to a number and a size: at least one, however large, so that a reader always gets on. */
export function collectPage(found: Iterable<InboxRow>, limit: number): InboxRows {
  const rows: InboxRow[] = []
  let characters = 0
  for (const row of found) {
    const hasRoom = rows.length < limit && characters < inboxPageCharactersMax
    if (!hasRoom) return { rows, next: rows.at(-1)?.brokerMessageId ?? null }
    rows.push(row)
    characters += row.body?.length ?? 0
  }
  return { rows, next: null }
}
