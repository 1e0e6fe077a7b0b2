/**
 * The inbox: one row per received message (02 §11).
 *
 * 1. A message is there once: (sender, client_message_id) is unique, and so is its broker_message_id.
 * 2. `store` returns after the commit. Only then may a delivery be acknowledged.
 * 3. A row gives way only to better knowledge of the same message: a row read back from history to the delivery
 *    itself, a row that could not be opened to one that could, and none that was opened to one that was not. The better
 *    one is a new row with a new seq.
 * 4. seq grows with every row and is never given twice within one file; `generation` names the file.
 * 5. A message that could not be opened is kept with the bytes it came in and the reason.
 *
 * It does not open messages, knows no names, and does not acknowledge.
 */
import { MeshError } from '@claudemesh/protocol'
import {
  closeDatabase,
  crashPoint,
  type Database,
  immediate,
  isBroken,
  schemaVersion,
  type Tx,
} from '@claudemesh/storage'
import { openReplaceable } from '../quarantine.ts'
import type { Runtime } from '../runtime.ts'
import { insertMessages } from './insertion.ts'
import { OfferedShares } from './offered-shares.ts'
import { collectPage, type InboxPageRequest, type InboxRows } from './page.ts'
import { ReadReports } from './read-reports.ts'
import {
  type ArrivedDraft,
  firstState,
  type InboxDraft,
  type InboxRow,
  type InboxState,
  type Refetch,
  type StillUnopened,
  type StoreOutcome,
  type UnopenedMessage,
  type UnopenedReason,
  withOrigin,
} from './rows.ts'
import { toSearchExpression } from './search-query.ts'
import { InboxStatements, type PageFilter } from './statements.ts'

export type { InboxPageRequest, InboxRows } from './page.ts'
export type {
  ArrivedDraft,
  InboxDraft,
  InboxRow,
  MessageContent,
  ReadReport,
  Refetch,
  StillUnopened,
  StoreOutcome,
  UnopenedMessage,
  UnopenedReason,
} from './rows.ts'

export class Inbox {
  /** What is to be told of what was marked read, and of what messages offer. */
  readonly reads: ReadReports
  readonly offers: OfferedShares
  readonly #db: Database
  readonly #statements: InboxStatements
  readonly #runtime: Runtime
  #state: InboxState
  #messages: number
  #unread: number

  /**
   * Opens the inbox. A damaged one is moved aside and an empty one takes its place, and that of one that is missing.
   *
   * @param options.hadOne whether this member had an inbox before
   * @returns `rebuilt` with the path of the damaged file at the start that replaced it, else null
   * @throws MeshError `schema_too_new`, or what the storage throws
   */
  static open(options: { readonly path: string; readonly runtime: Runtime; readonly hadOne?: boolean }): {
    readonly inbox: Inbox
    readonly rebuilt: { readonly movedTo: string } | null
  } {
    const { path, runtime, hadOne = false } = options
    const migrations = new URL('./schema/', import.meta.url)
    const { db, predecessor } = openReplaceable({ path, migrations, now: runtime.now })
    const statements = new InboxStatements(db)
    const known = statements.state()
    const state = known ?? firstState({ runtime, predecessor, hadOne })
    if (known === null) immediate(db, () => statements.createState(state))
    const isNewlyRebuilt = known === null && predecessor !== null
    return {
      inbox: new Inbox({ db, statements, runtime, state }),
      rebuilt: isNewlyRebuilt ? { movedTo: predecessor } : null,
    }
  }

  private constructor(parts: { db: Database; statements: InboxStatements; runtime: Runtime; state: InboxState }) {
    this.reads = new ReadReports(parts.db)
    this.offers = new OfferedShares(parts.db)
    this.#db = parts.db
    this.#statements = parts.statements
    this.#runtime = parts.runtime
    this.#state = parts.state
    this.#messages = parts.statements.countAll()
    this.#unread = parts.statements.countUnread()
  }

  /** Moves the WAL into the file and closes it. */
  close(): void {
    closeDatabase(this.#db)
  }

  /** Names this file among all that ever stood at its path. */
  get generation(): string {
    return this.#state.generation
  }

  /** When this file took the place of another, and of which damaged one; null for an inbox that was never replaced. */
  get rebuilt(): { readonly at: number; readonly from: string | null } | null {
    const { rebuiltAt, rebuiltFrom } = this.#state
    return rebuiltAt === null ? null : { at: rebuiltAt, from: rebuiltFrom }
  }

  get broken(): boolean {
    return isBroken(this.#db)
  }

  get schemaVersion(): number {
    return schemaVersion(this.#db)
  }

  /**
   * Stores deliveries in one transaction.
   *
   * @returns one outcome per draft, in order, after the commit
   * @throws MeshError `insufficient_storage` or `storage_failed`; then nothing was stored
   */
  store(drafts: readonly InboxDraft[]): StoreOutcome[] {
    const outcomes = immediate(this.#db, (tx) => {
      const results = this.#insert(tx, withOrigin(drafts, 'delivery'))
      crashPoint('daemon.inbox.before-commit')
      return results
    })
    crashPoint('daemon.inbox.after-commit')
    return outcomes
  }

  /**
   * Stores one page of the broker's history together with the place to go on from.
   *
   * @param next cursor of the next page; null ends the refetch
   */
  storeHistory(drafts: readonly InboxDraft[], next: string | null): StoreOutcome[] {
    const refetch = next === null ? 'none' : 'running'
    return immediate(this.#db, (tx) => {
      this.#statements.saveRefetch(refetch, next)
      tx.afterCommit(() => {
        this.#state = { ...this.#state, refetch, refetchAfter: next }
      })
      return this.#insert(tx, withOrigin(drafts, 'history'))
    })
  }

  /** Messages that could not be opened for one reason, in order of arrival. */
  unopened(o: {
    readonly reason: UnopenedReason
    readonly afterSeq: number
    readonly limit: number
  }): readonly UnopenedMessage[] {
    return this.#statements.unopened(o)
  }

  /** Puts opened messages in the place of the same ones before; the others are kept for the reason that holds now. */
  storeRetried(o: { readonly opened: readonly ArrivedDraft[]; readonly unopened: readonly StillUnopened[] }): void {
    immediate(this.#db, (tx) => {
      this.#insert(tx, o.opened)
      for (const message of o.unopened) this.#statements.changeReason(message)
    })
  }

  /** Removes what was kept unopened and is no message; nothing when it is not there, or was opened meanwhile. */
  removeUnopened(seq: number): void {
    immediate(this.#db, (tx) => {
      const removed = this.#statements.removeUnopened(seq)
      if (removed !== null) tx.afterCommit(() => this.#adjustCounts(-1, removed.isUnread ? -1 : 0))
    })
  }

  /** The refetch that is still to be done, or null. */
  refetch(): Refetch | null {
    const { refetch, rebuiltAt, refetchAfter } = this.#state
    return refetch === 'none' || rebuiltAt === null ? null : { rebuiltAt, after: refetchAfter }
  }

  /**
   * One page, by keyset: its cost does not grow with the inbox.
   *
   * @throws MeshError `invalid_cursor` when `after` is no message of this inbox
   */
  page(request: InboxPageRequest): InboxRows {
    const { order, after, since: receivedSince, topic, sender, unread, limit } = request
    const afterSeq = after === null ? null : this.#seqOfCursor(after)
    const filter: PageFilter = { order, afterSeq, receivedSince, topic, sender, unread }
    return collectPage(this.#statements.page(filter, limit + 1), limit)
  }

  /**
   * Messages whose body has all words of a text, newest first. Any text is a valid one; see search-query.ts.
   *
   * @throws MeshError `invalid_cursor` when `after` is no message of this inbox
   */
  search(request: { readonly text: string; readonly after: string | null; readonly limit: number }): InboxRows {
    const beforeSeq = request.after === null ? Number.MAX_SAFE_INTEGER : this.#seqOfCursor(request.after)
    const expression = toSearchExpression(request.text)
    if (expression === null) return { rows: [], next: null }
    return collectPage(this.#statements.search(expression, beforeSeq, request.limit + 1), request.limit)
  }

  /** @param id broker_message_id */
  get(id: string): InboxRow | null {
    return this.#statements.byId(id)
  }

  /** Direct replies to a message, oldest first. */
  repliesTo(id: string, limit: number): InboxRow[] {
    return this.#statements.repliesTo(id, limit)
  }

  /** Rows after a seq in order of arrival, at most `limit` and as many bytes as one page holds. */
  after(seq: number, limit: number): readonly InboxRow[] {
    return collectPage(this.#statements.afterSeq(seq, limit), limit).rows
  }

  /** The highest seq ever given, 0 when none was. */
  get lastSeq(): number {
    return this.#statements.lastSeq()
  }

  /**
   * Marks messages read, or unread again. What is newly read becomes a report in the same transaction.
   *
   * @returns how many rows changed, and which ids are no messages of this inbox
   */
  mark(ids: readonly string[], read: boolean): { marked: number; unknown: string[] } {
    const readAt = read ? this.#runtime.now() : null
    return immediate(this.#db, (tx) => {
      const unique = [...new Set(ids)]
      const unknown = unique.filter((id) => this.#statements.seqOf(id) === null)
      const marked = unique.filter((id) => this.#statements.mark(id, readAt))
      if (readAt !== null) this.reads.note(tx, marked, readAt)
      crashPoint('daemon.mark.before-commit')
      tx.afterCommit(() => this.#adjustCounts(0, read ? -marked.length : marked.length))
      tx.afterCommit(() => crashPoint('daemon.mark.after-commit'))
      return { marked: marked.length, unknown }
    })
  }

  counts(): { readonly messages: number; readonly unread: number } {
    return { messages: this.#messages, unread: this.#unread }
  }

  /**
   * Removes rows older than the retention, oldest first.
   *
   * @param options.rowsMax bound of one transaction; as many removed rows say that there may be more
   * @returns how many were removed
   */
  retain(options: { readonly now: number; readonly days: number; readonly rowsMax: number }): number {
    const before = options.now - options.days * dayMs
    const seqs = this.#statements.expired(before, options.rowsMax)
    if (seqs.length === 0) return 0
    return immediate(this.#db, (tx) => {
      const unread = seqs.filter((seq) => this.#statements.remove(seq)).length
      tx.afterCommit(() => this.#adjustCounts(-seqs.length, -unread))
      return seqs.length
    })
  }

  #insert(tx: Tx, arrived: readonly ArrivedDraft[]): StoreOutcome[] {
    const insertion = insertMessages(tx, this.#statements, { arrived, receivedAt: this.#runtime.now() })
    this.offers.note(tx, insertion.offers)
    tx.afterCommit(() => this.#adjustCounts(insertion.messages, insertion.unread))
    return insertion.outcomes
  }

  #adjustCounts(messages: number, unread: number): void {
    this.#messages += messages
    this.#unread += unread
  }

  #seqOfCursor(id: string): number {
    const seq = this.#statements.seqOf(id)
    if (seq === null) throw new MeshError('invalid_cursor', { data: { field: 'after' } })
    return seq
  }
}

const dayMs = 24 * 60 * 60 * 1000
