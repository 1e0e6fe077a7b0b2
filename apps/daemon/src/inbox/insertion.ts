/** How messages become rows: each once, and better knowledge in the place of worse (inbox.ts, invariants 1 and 3). */
import { sharedFilesMember } from '@claudemesh/protocol'
import type { Tx } from '@claudemesh/storage'
import { type ArrivedDraft, type InboxDraft, type InsertedRow, type StoreOutcome, toInsertedRow } from './rows.ts'
import type { InboxStatements } from './statements.ts'

/** What an insertion did. `messages` and `unread` are what it adds to the counts. */
export interface Insertion {
  readonly outcomes: StoreOutcome[]
  readonly messages: number
  readonly unread: number
  /** Seqs of the new rows that offer a share. */
  readonly offers: readonly number[]
}

export function insertMessages(
  _: Tx,
  sql: InboxStatements,
  o: { readonly arrived: readonly ArrivedDraft[]; readonly receivedAt: number },
): Insertion {
  let messages = 0
  let unread = 0
  const offers: number[] = []
  const insert = (draft: InboxDraft, row: InsertedRow): boolean => {
    const seq = insertRow(sql, row)
    if (seq !== null && offersShare(draft)) offers.push(seq)
    return seq !== null
  }
  const outcomes = o.arrived.map(({ draft, origin }): StoreOutcome => {
    const row = toInsertedRow(draft, origin, o.receivedAt)
    if (insert(draft, row)) {
      messages += 1
      unread += 1
      return 'stored'
    }
    const superseded = sql.findSuperseded(row)
    if (superseded === null) return judgeDuplicate(sql, row)
    const wasUnread = sql.remove(superseded)
    if (!insert(draft, row)) throw new Error(`two rows of the inbox stand in the way of ${row.brokerMessageId}`)
    unread += wasUnread ? 0 : 1
    return 'stored'
  })
  return { outcomes, messages, unread, offers }
}

/** @returns the seq of the new row; null: one of its keys is taken */
function insertRow(sql: InboxStatements, row: InsertedRow): number | null {
  const seq = sql.insert(row)
  if (seq !== null && row.body !== null) sql.insertText(seq, row.body)
  return seq
}

function offersShare({ content }: InboxDraft): boolean {
  return content.opened && content.meta !== null && Object.hasOwn(content.meta, sharedFilesMember)
}

function judgeDuplicate(sql: InboxStatements, row: InsertedRow): StoreOutcome {
  const opened = sql.isOpened(row.sender, row.clientMessageId)
  if (opened === null) return 'conflict'
  return opened ? 'duplicate' : 'duplicate_sealed'
}
