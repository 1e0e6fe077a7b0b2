/** All SQL of inbox.db. Rows are mapped here and nowhere else. */
import type { DestinationKind, JsonObject, Priority } from '@claudemesh/protocol'
import type { Database, Statement } from '@claudemesh/storage'
import type {
  InboxRow,
  InboxState,
  InsertedRow,
  Origin,
  ReadReport,
  StillUnopened,
  UnopenedMessage,
  UnopenedReason,
} from './rows.ts'

/** Which rows of a page are wanted. A null filters nothing. */
export interface PageFilter {
  readonly order: 'newest' | 'oldest'
  /** The page begins after this seq in its order. */
  readonly afterSeq: number | null
  readonly receivedSince: number | null
  readonly topic: string | null
  readonly sender: string | null
  readonly unread: boolean
}

/** Everything of a row but its sealed bytes, which no reader of pages wants. */
const columns = `seq, broker_message_id, client_message_id, sender, history_id, destination_kind, destination_ref,
  reply_to_id, priority, origin, opened, body, meta, unopened_reason, accepted_at, received_at, read_at`

export class InboxStatements {
  readonly #db: Database
  readonly #pages = new Map<string, Statement>()
  readonly #insert: Statement
  readonly #insertText: Statement
  readonly #deleteText: Statement
  readonly #deleteRow: Statement
  readonly #deleteUnopened: Statement
  readonly #supersede: Statement
  readonly #openedByKey: Statement
  readonly #unopened: Statement
  readonly #changeReason: Statement
  readonly #byId: Statement
  readonly #seqById: Statement
  readonly #replies: Statement
  readonly #afterSeq: Statement
  readonly #search: Statement
  readonly #markRead: Statement
  readonly #markUnread: Statement
  readonly #expired: Statement
  readonly #lastSeq: Statement
  readonly #countAll: Statement
  readonly #countUnread: Statement
  readonly #state: Statement
  readonly #createState: Statement
  readonly #saveRefetch: Statement

  constructor(db: Database) {
    this.#db = db
    this.#insert = db.prepare(`
      INSERT INTO inbox (broker_message_id, client_message_id, sender, history_id, destination_kind, destination_ref,
        reply_to_id, priority, origin, opened, body, meta, sealed, unopened_reason, accepted_at, received_at,
        received_max)
      VALUES (:brokerMessageId, :clientMessageId, :sender, :historyId, :destinationKind, :destinationRef,
        :replyToId, :priority, :origin, :opened, :body, :metaJson, :sealed, :unopenedReason, :acceptedAt, :receivedAt,
        max(:receivedAt, coalesce((SELECT max(received_max) FROM inbox), 0)))
      ON CONFLICT DO NOTHING`)
    this.#insertText = db.prepare(`INSERT INTO inbox_text (rowid, body) VALUES (?, ?)`)
    this.#deleteText = db.prepare(`DELETE FROM inbox_text WHERE rowid = ?`)
    this.#deleteRow = db.prepare(`DELETE FROM inbox WHERE seq = ? RETURNING opened, read_at IS NULL AS unread`)
    this.#deleteUnopened = db
      .prepare(`DELETE FROM inbox WHERE seq = ? AND opened = 0 RETURNING read_at IS NULL AS unread`)
      .pluck()
    this.#supersede = db.prepare(`
      SELECT seq FROM inbox
      WHERE sender = :sender AND client_message_id = :clientMessageId
        AND ((origin = 'history' AND :origin = 'delivery' AND opened <= :opened) OR (opened = 0 AND :opened = 1))
        AND NOT EXISTS (
          SELECT 1 FROM inbox AS other
          WHERE other.broker_message_id = :brokerMessageId AND other.seq <> inbox.seq)`)
    this.#openedByKey = db.prepare(`SELECT opened FROM inbox WHERE sender = ? AND client_message_id = ?`).pluck()
    this.#unopened = db.prepare(`
      SELECT ${columns}, sealed FROM inbox INDEXED BY inbox_unopened
      WHERE opened = 0 AND unopened_reason = :reason AND seq > :afterSeq ORDER BY seq LIMIT +:limit`)
    this.#changeReason = db.prepare(`UPDATE inbox SET unopened_reason = :reason WHERE seq = :seq AND opened = 0`)
    this.#byId = db.prepare(`SELECT ${columns} FROM inbox WHERE broker_message_id = ?`)
    this.#seqById = db.prepare(`SELECT seq FROM inbox WHERE broker_message_id = ?`).pluck()
    this.#replies = db.prepare(`SELECT ${columns} FROM inbox WHERE reply_to_id = ? ORDER BY seq LIMIT +?`)
    this.#afterSeq = db.prepare(`SELECT ${columns} FROM inbox WHERE seq > ? ORDER BY seq LIMIT +?`)
    this.#search = db.prepare(searchSql)
    this.#markRead = db.prepare(`UPDATE inbox SET read_at = :now WHERE broker_message_id = :id AND read_at IS NULL`)
    this.#markUnread = db.prepare(
      `UPDATE inbox SET read_at = NULL WHERE broker_message_id = :id AND read_at IS NOT NULL`,
    )
    this.#expired = db.prepare(`SELECT seq FROM inbox WHERE received_at < ? ORDER BY received_at LIMIT +?`).pluck()
    this.#lastSeq = db.prepare(`SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'inbox'), 0)`).pluck()
    this.#countAll = db.prepare(`SELECT count(*) FROM inbox`).pluck()
    this.#countUnread = db.prepare(`SELECT count(*) FROM inbox INDEXED BY inbox_unread WHERE read_at IS NULL`).pluck()
    this.#state = db.prepare(`
      SELECT generation, rebuilt_at AS rebuiltAt, rebuilt_from AS rebuiltFrom, refetch, refetch_after AS refetchAfter
      FROM inbox_state WHERE id = 1`)
    this.#createState = db.prepare(`
      INSERT INTO inbox_state (id, generation, rebuilt_at, rebuilt_from, refetch, refetch_after)
      VALUES (1, :generation, :rebuiltAt, :rebuiltFrom, :refetch, :refetchAfter)`)
    this.#saveRefetch = db.prepare(`UPDATE inbox_state SET refetch = :refetch, refetch_after = :after WHERE id = 1`)
  }

  /** @returns the seq of the new row, or null when one of its unique keys is taken */
  insert(row: InsertedRow): number | null {
    const result = this.#insert.run({ ...row, opened: row.opened ? 1 : 0 })
    return result.changes === 0 ? null : Number(result.lastInsertRowid)
  }

  insertText(seq: number, body: string): void {
    this.#insertText.run(seq, body)
  }

  /** Removes a row with its words. @returns whether it was unread */
  remove(seq: number): boolean {
    const row = this.#deleteRow.get(seq) as { opened: number; unread: number } | undefined
    if (row === undefined) throw new Error(`inbox row ${seq} is not there to be removed`)
    if (row.opened === 1) this.#deleteText.run(seq)
    return row.unread === 1
  }

  /** Removes a row that was not opened. @returns null when there is none */
  removeUnopened(seq: number): { readonly isUnread: boolean } | null {
    const unread = this.#deleteUnopened.get(seq)
    return unread === undefined ? null : { isUnread: unread === 1 }
  }

  /** The seq of the row that this one may take the place of (see inbox.ts, invariant 3), or null. */
  findSuperseded(row: InsertedRow): number | null {
    const { sender, clientMessageId, brokerMessageId, origin } = row
    const opened = row.opened ? 1 : 0
    const found = this.#supersede.get({ sender, clientMessageId, brokerMessageId, origin, opened })
    return found === undefined ? null : (found as { seq: number }).seq
  }

  /** Whether the row of this key could be opened; null when there is no such row. */
  isOpened(sender: string, clientMessageId: string): boolean | null {
    const opened = this.#openedByKey.get(sender, clientMessageId)
    return opened === undefined ? null : opened === 1
  }

  /** Messages that could not be opened for one reason, in order of arrival. */
  unopened(o: { reason: UnopenedReason; afterSeq: number; limit: number }): UnopenedMessage[] {
    return this.#unopened.all(o).map(toUnopened)
  }

  changeReason(message: StillUnopened): void {
    this.#changeReason.run(message)
  }

  byId(brokerMessageId: string): InboxRow | null {
    const record = this.#byId.get(brokerMessageId)
    return record === undefined ? null : toRow(record)
  }

  seqOf(brokerMessageId: string): number | null {
    return (this.#seqById.get(brokerMessageId) as number | undefined) ?? null
  }

  repliesTo(brokerMessageId: string, limit: number): InboxRow[] {
    return this.#replies.all(brokerMessageId, limit).map(toRow)
  }

  *afterSeq(seq: number, limit: number): Generator<InboxRow> {
    for (const record of this.#afterSeq.iterate(seq, limit)) yield toRow(record)
  }

  /** @param match an FTS5 expression; see search-query.ts */
  *search(match: string, beforeSeq: number, limit: number): Generator<InboxRow> {
    for (const record of this.#search.iterate({ match, beforeSeq, limit })) yield toRow(record)
  }

  *page(filter: PageFilter, limit: number): Generator<InboxRow> {
    const { afterSeq, receivedSince, topic, sender } = filter
    const sql = pageSql(filter)
    let statement = this.#pages.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      this.#pages.set(sql, statement)
    }
    const bound = { afterSeq, receivedSince, topic, sender, limit }
    for (const record of statement.iterate(bound)) yield toRow(record)
  }

  /** @returns whether the row changed */
  mark(brokerMessageId: string, readAt: number | null): boolean {
    const result =
      readAt === null
        ? this.#markUnread.run({ id: brokerMessageId })
        : this.#markRead.run({ id: brokerMessageId, now: readAt })
    return result.changes === 1
  }

  /** Seqs of rows received before a time, oldest first. */
  expired(before: number, limit: number): number[] {
    return this.#expired.all(before, limit) as number[]
  }

  /** The highest seq ever given, 0 when none was. */
  lastSeq(): number {
    return this.#lastSeq.get() as number
  }

  countAll(): number {
    return this.#countAll.get() as number
  }

  countUnread(): number {
    return this.#countUnread.get() as number
  }

  state(): InboxState | null {
    return (this.#state.get() as InboxState | undefined) ?? null
  }

  createState(state: InboxState): void {
    this.#createState.run(state)
  }

  saveRefetch(refetch: InboxState['refetch'], after: string | null): void {
    const { changes } = this.#saveRefetch.run({ refetch, after })
    if (changes !== 1) throw new Error('inbox_state has lost its row')
  }
}

/** What a salvage does not copy: the words of the bodies. What it copied was told when it arrived, as history is not. */
export function completeSalvaged(db: Database): void {
  db.prepare(`UPDATE inbox SET origin = 'history'`).run()
  db.prepare(`INSERT INTO inbox_text (rowid, body) SELECT seq, body FROM inbox WHERE body IS NOT NULL`).run()
}

export type ReadReportStatements = ReturnType<typeof prepareReadReports>

export function prepareReadReports(db: Database) {
  const insert = db.prepare(`
    INSERT INTO read_report (broker_message_id, at)
    SELECT broker_message_id, :at FROM inbox WHERE broker_message_id = :id AND opened = 1
    ON CONFLICT DO NOTHING`)
  const waiting = db.prepare(`
    SELECT seq, broker_message_id AS brokerMessageId, at FROM read_report INDEXED BY read_report_waiting
    WHERE answered = 0 ORDER BY seq LIMIT +?`)
  const answer = db.prepare(`UPDATE read_report SET answered = 1 WHERE answered = 0 AND seq <= ?`)
  const anyBefore = db.prepare(`SELECT 1 FROM read_report WHERE at < ? LIMIT 1`).pluck()
  const removeBefore = db.prepare(`
    DELETE FROM read_report WHERE seq IN (SELECT seq FROM read_report WHERE at < ? ORDER BY at LIMIT +?)`)

  return {
    /** @returns false when it was reported before, or is no message that could be read */
    insert: (id: string, at: number): boolean => insert.run({ id, at }).changes === 1,
    waiting: (limit: number) => waiting.all(limit) as ReadReport[],
    answer: (throughSeq: number): number => answer.run(throughSeq).changes,
    anyBefore: (at: number): boolean => anyBefore.get(at) !== undefined,
    removeBefore: (at: number, limit: number): number => removeBefore.run(at, limit).changes,
  }
}

export type OfferStatements = ReturnType<typeof prepareOffers>

export function prepareOffers(db: Database) {
  const insert = db.prepare(`INSERT INTO offered_share (seq) VALUES (?)`)
  const waiting = db.prepare(`
    SELECT ${columns.replaceAll(/\b(?=[a-z])/g, 'inbox.')}
    FROM offered_share CROSS JOIN inbox ON inbox.seq = offered_share.seq ORDER BY offered_share.seq LIMIT +?`)
  const remove = db.prepare(`DELETE FROM offered_share WHERE seq <= ?`)

  return {
    insert: (seq: number): void => void insert.run(seq),
    waiting: (limit: number): InboxRow[] => waiting.all(limit).map(toRow),
    /** With them go those whose messages are gone. */
    remove: (throughSeq: number): number => remove.run(throughSeq).changes,
  }
}

/** FTS5 walks its own rowids downwards, so that the newest hits come first without a sort. */
export const searchSql = `
  SELECT ${columns.replaceAll(/\b(?=[a-z])/g, 'inbox.')} FROM inbox_text JOIN inbox ON inbox.seq = inbox_text.rowid
  WHERE inbox_text MATCH :match AND inbox_text.rowid < :beforeSeq
  ORDER BY inbox_text.rowid DESC LIMIT +:limit`

/**
 * The statement of one shape of page: only the conditions that are in use, so that each shape gets the index that serves
 * all of them. The shapes are few and their text is made of constants.
 */
export function pageSql(filter: PageFilter): string {
  const { index, endsInUnread } = pageIndex(filter)
  const order = `ORDER BY seq ${filter.order === 'newest' ? 'DESC' : 'ASC'} LIMIT +:limit`
  const select = (conditions: readonly string[]) => {
    const where = [...conditions, ...pageConditions(filter)].join(' AND ')
    return `SELECT ${columns} FROM inbox ${index} ${where === '' ? '' : `WHERE ${where}`}`
  }
  if (!endsInUnread) return `${select(filter.unread ? ['read_at IS NULL'] : [])} ${order}`
  const ofUnread = select(['(read_at IS NULL) = 1'])
  // Two walks along the order of the page, merged as they go.
  return filter.unread ? `${ofUnread} ${order}` : `${ofUnread} UNION ALL ${select(['(read_at IS NULL) = 0'])} ${order}`
}

function pageConditions(filter: PageFilter): readonly string[] {
  const conditions = [
    filter.topic === null ? null : `destination_kind = 'topic' AND destination_ref = :topic`,
    filter.sender === null ? null : `sender = :sender`,
    filter.afterSeq === null ? null : `seq ${filter.order === 'newest' ? '<' : '>'} :afterSeq`,
    filter.receivedSince === null
      ? null
      : `received_at >= :receivedSince AND seq >=
          (SELECT seq FROM inbox INDEXED BY inbox_received_max
            WHERE received_max >= :receivedSince ORDER BY received_max, seq LIMIT 1)`,
  ]
  return conditions.filter((condition) => condition !== null)
}

/** Said out loud because the planner has no statistics. */
function pageIndex({ sender, topic, unread }: PageFilter): { readonly index: string; readonly endsInUnread: boolean } {
  if (topic !== null) return { index: `INDEXED BY inbox_topic${sender === null ? '' : '_sender'}`, endsInUnread: true }
  if (sender !== null) return { index: 'INDEXED BY inbox_sender', endsInUnread: true }
  return { index: unread ? 'INDEXED BY inbox_unread' : 'NOT INDEXED', endsInUnread: false }
}

interface InboxRecord {
  readonly seq: number
  readonly broker_message_id: string
  readonly client_message_id: string
  readonly sender: string
  readonly history_id: string
  readonly destination_kind: DestinationKind
  readonly destination_ref: string
  readonly reply_to_id: string | null
  readonly priority: Priority
  readonly origin: Origin
  readonly opened: number
  readonly body: string | null
  readonly meta: string | null
  readonly unopened_reason: UnopenedReason | null
  readonly accepted_at: number
  readonly received_at: number
  readonly read_at: number | null
}

function toRow(record: unknown): InboxRow {
  const row = record as InboxRecord
  return {
    seq: row.seq,
    brokerMessageId: row.broker_message_id,
    clientMessageId: row.client_message_id,
    sender: row.sender,
    historyId: row.history_id,
    destinationKind: row.destination_kind,
    destinationRef: row.destination_ref,
    replyToId: row.reply_to_id,
    priority: row.priority,
    origin: row.origin,
    opened: row.opened === 1,
    body: row.body,
    meta: row.meta === null ? null : (JSON.parse(row.meta) as JsonObject),
    unopenedReason: row.unopened_reason,
    acceptedAt: row.accepted_at,
    receivedAt: row.received_at,
    readAt: row.read_at,
  }
}

function toUnopened(record: unknown): UnopenedMessage {
  const { sealed } = record as { readonly sealed: Buffer }
  const { destinationKind, destinationRef, ...row } = toRow(record)
  const { seq, brokerMessageId, clientMessageId, sender, historyId, replyToId, priority, origin, acceptedAt } = row
  const destination = { kind: destinationKind, ref: destinationRef }
  return {
    ...{ seq, brokerMessageId, clientMessageId, sender, historyId, destination, replyToId },
    ...{ priority, origin, acceptedAt, sealed },
  }
}
