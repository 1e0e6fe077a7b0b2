/** How messages become rows: each once, and better knowledge in the place of worse (inbox.ts, invariants 1 and 3). */
import type { Tx } from '@claudemesh/storage'
import { type ArrivedDraft, type InsertedRow, type StoreOutcome, toInsertedRow } from './rows.ts'
import type { InboxStatements } from './statements.ts'

/** What an insertion did. `messages` and `unread` are what it adds to the counts. */
export interface Insertion {
  readonly outcomes: StoreOutcome[]
  readonly messages: number
  readonly unread: number
}

export function insertMessages(
  _: Tx,
  sql: InboxStatements,
  o: { readonly arrived: readonly ArrivedDraft[]; readonly receivedAt: number },
): Insertion {
  let messages = 0
  let unread = 0
  const outcomes = o.arrived.map(({ draft, origin }): StoreOutcome => {
    const row = toInsertedRow(draft, origin, o.receivedAt)
    if (insertRow(sql, row)) {
      messages += 1
      unread += 1
      return 'stored'
    }
    const superseded = sql.findSuperseded(row)
    if (superseded === null) return judgeDuplicate(sql, row)
    const wasUnread = sql.remove(superseded)
    if (!insertRow(sql, row)) throw new Error(`two rows of the inbox stand in the way of ${row.brokerMessageId}`)
    unread += wasUnread ? 0 : 1
    return 'stored'
  })
  return { outcomes, messages, unread }
}

function insertRow(sql: InboxStatements, row: InsertedRow): boolean {
  const seq = sql.insert(row)
  if (seq === null) return false
  if (row.body !== null) sql.insertText(seq, row.body)
  return true
}

function judgeDuplicate(sql: InboxStatements, row: InsertedRow): StoreOutcome {
  const opened = sql.isOpened(row.sender, row.clientMessageId)
  if (opened === null) return 'conflict'
  return opened ? 'duplicate' : 'duplicate_sealed'
}
