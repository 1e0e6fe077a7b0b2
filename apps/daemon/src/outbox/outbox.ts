/**
 * The outbox: the durable queue of everything this member sends (02 §1, §4, §5).
 *
 * 1. `accept` resolves only after its row is committed with synchronous=FULL. One id has one live row: a second accept
 *    of the same id finds the first one's row, also within one batch.
 * 2. A row changes its status only by a move of `states.ts`, by a statement that names the state it comes from.
 * 3. What is transmitted was frozen before: whatever claims a row, `claim` or its `accept`, commits `sealed` and its
 *    fingerprint before it hands the row out, unless `freeze` has, and every later attempt carries the same bytes unless the
 *    recipients changed.
 * 4. What became of a row, and the announcement of it, are one transaction.
 * 5. accept, claim and settle cost O(log n): each is served by an index that holds no other rows, and a row that waits
 *    for its next attempt is not looked at until that time has come.
 *
 * It does not decide: what an existing row means to a caller is send/accept-table.ts, what an answer of the broker
 * means to a row is send/outcome-table.ts, and when to try is send/sender.ts.
 */
import type { Destination, ErrorCode, ReceiptItem } from '@claudemesh/protocol'
import {
  closeDatabase,
  crashPoint,
  type Database,
  GroupCommit,
  immediate,
  isBroken,
  libraryVersion,
  openDatabase,
  schemaVersion,
  type Tx,
} from '@claudemesh/storage'
import {
  doneContentsRetentionMs,
  doneRetentionDaysMin,
  sendBackoffMsBase,
  sendBackoffMsCap,
  sweepRowsMax,
  unparkRowsMax,
} from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import { type AcceptClaims, type AcceptOutcome, storeDrafts } from './accept.ts'
import { type ClaimOptions, type ClaimOutcome, selectClaimable, takeInflight } from './claim.ts'
import { type FreezeOptions, type FreezeOutcome, freezeRows } from './freeze.ts'
import { LowShare } from './low-share.ts'
import { assertOne, Moves, type OutboxCounts, type OutboxListener } from './moves.ts'
import { type DropOutcome, dropRow, type RequeueOptions, type RequeueOutcome, requeueRow } from './operator.ts'
import { OutboxReader } from './outbox-reader.ts'
import type { OutboxDraft, Settlement, SettleOutcome } from './rows.ts'
import { prepareOutboxStatements } from './statements.ts'
import type { OutboxMove } from './states.ts'

export type { AcceptClaimOptions, AcceptClaims, AcceptOutcome } from './accept.ts'
export type {
  ClaimedRow,
  ClaimOptions,
  ClaimOutcome,
  SealPostponement,
  SealRefusal,
} from './claim.ts'
export type { OutboxCounts, OutboxListener } from './moves.ts'
export type { DropOutcome, RequeueOptions, RequeueOutcome } from './operator.ts'
export type {
  AnnouncedChange,
  OutboxDraft,
  OutboxRow,
  OutboxSummary,
  SealableRow,
  SealedMessage,
  Settlement,
  SettleOutcome,
  StoredReceipt,
} from './rows.ts'

const msPerDay = 86_400_000

export class Outbox extends OutboxReader {
  readonly #db: Database
  readonly #runtime: Runtime
  readonly #accepts: GroupCommit<OutboxDraft, AcceptOutcome>
  readonly #moves: Moves
  readonly #lowShare = new LowShare()
  #acceptClaims: AcceptClaims | null = null
  #accepted = 0
  /** Up to where announcements are to be forgotten; null when they have been. */
  #toldThrough: number | null = null
  /** How many rows `open` found inflight. */
  readonly recovered: number

  /**
   * Opens the database and takes back what a crash left inflight: such a row may have reached the broker or not, so it
   * is asked about again, with the same bytes.
   *
   * @throws MeshError `database_corrupt`, `schema_too_new` and whatever else `openDatabase` throws
   */
  static open(o: { readonly path: string; readonly runtime: Runtime; readonly acceptBatchMax: number }): Outbox {
    const { path, runtime, acceptBatchMax } = o
    const db = openDatabase({ path, migrations: new URL('./schema/', import.meta.url), now: runtime.now })
    return new Outbox({ db, runtime, acceptBatchMax })
  }

  private constructor(o: { db: Database; runtime: Runtime; acceptBatchMax: number }) {
    super(prepareOutboxStatements(o.db))
    this.#db = o.db
    this.#runtime = o.runtime
    this.#moves = new Moves(this.sql)
    this.#accepts = new GroupCommit({
      db: o.db,
      itemsMax: o.acceptBatchMax,
      run: (tx, drafts) => this.#insert(tx, drafts),
    })
    this.recovered = this.#recover()
    // Whoever would have woken them is gone.
    immediate(o.db, () => this.sql.unparkAllAwaiting())
  }

  /** Commits what waits and closes the file. */
  close(): void {
    if (!this.#db.open) return
    // Draining commits before it returns; the promise only says that it has.
    void this.#accepts.drain()
    closeDatabase(this.#db)
  }

  /** Whether the disk failed in a way after which no write is trusted; the process should start again. */
  get broken(): boolean {
    return isBroken(this.#db)
  }

  get schemaVersion(): number {
    return schemaVersion(this.#db)
  }

  /** Version of the SQLite library in use. */
  get libraryVersion(): string {
    return libraryVersion(this.#db)
  }

  /** Calls `listener` after each commit that changed rows. @returns how to stop it */
  onChange(listener: OutboxListener): () => void {
    return this.#moves.listen(listener)
  }

  /** Rows that accepts have stored since the outbox was opened. */
  get accepted(): number {
    return this.#accepted
  }

  /** Rows by status, as of the last commit. */
  counts(): OutboxCounts {
    return { ...this.#moves.counts }
  }

  // ---- accept ------------------------------------------------------------------------------------------------------

  /**
   * Stores a draft, or finds the row that already has its id. Drafts of one event-loop turn share one commit.
   *
   * @throws MeshError `insufficient_storage` or `storage_failed`: no row was stored
   */
  accept(draft: OutboxDraft): Promise<AcceptOutcome> {
    return this.#accepts.submit(draft)
  }

  /** From now on accepts are claimed by the commit that stores them, as far as `claims` lets it and no row is pending. */
  claimWithAccepts(claims: AcceptClaims): void {
    this.#acceptClaims = claims
  }

  /** Says that somebody has just connected, who may bring a draft: one that waits is committed with theirs. */
  expectDraft(): void {
    this.#accepts.expectMore()
  }

  #insert(tx: Tx, drafts: readonly OutboxDraft[]): readonly AcceptOutcome[] {
    const claims = this.#moves.counts.pending === 0 ? this.#acceptClaims : null
    const stored = storeDrafts(this.sql, { drafts, now: this.#runtime.now(), claim: claims?.options() ?? null })
    const { outcomes, inserted, claimed } = stored
    const accepted = this.#moves.moved(tx, { move: 'accept', from: null, rows: inserted })
    if (claimed.length > 0) {
      this.#moves.moved(tx, { move: 'claim', from: accepted, rows: claimed.length })
      passClaim(tx)
      tx.afterCommit(() => claims?.claimed(claimed))
    }
    tx.afterCommit(() => {
      this.#accepted += inserted
    })
    crashPoint('daemon.accept.before-commit')
    tx.afterCommit(() => crashPoint('daemon.accept.after-commit'))
    return outcomes
  }

  // ---- claim and settle --------------------------------------------------------------------------------------------

  /**
   * Takes the next rows for transmission: `now` before `next` before `low`, each in order of acceptance, except that
   * `low` rows that were passed over for too long have a share of their own. Rows whose bytes were never frozen are
   * sealed here; those that cannot be are dead after it, those that cannot be yet are out of the way.
   */
  claim(o: ClaimOptions): ClaimOutcome {
    return this.#accepts.runWithBatch((tx) => this.#claim(tx, o))
  }

  #claim(tx: Tx, o: ClaimOptions): ClaimOutcome {
    const monotonicMs = this.#runtime.monotonicMs()
    this.sql.unparkDue({ now: o.now, limit: unparkRowsMax })
    // No delay is longer than the cap, so a row that seems to wait longer was parked by a clock that has jumped back.
    this.sql.unparkBeyond({ horizon: o.now + sendBackoffMsCap, limit: unparkRowsMax })
    const positions = selectClaimable(this.sql, { lowShare: this.#lowShare, monotonicMs }, o)
    const outcome = takeInflight(this.sql, positions, o)
    this.#moves.moved(tx, { move: 'claim', from: 'pending', rows: outcome.rows.length })
    const refused = outcome.unsealable.map(({ outboxId }) => outboxId)
    for (const outboxId of refused) this.#moves.ended(tx, { move: 'unsealable', from: 'pending', outboxId })
    this.#moves.notify(tx, refused)
    passClaim(tx)
    return outcome
  }

  /**
   * Makes rows ready that wait for the recipients of a destination, oldest first, at most one batch of them. As long as
   * there may be more, it is to be called again before the next claim: then no younger row overtakes them.
   *
   * @returns whether there may be more
   */
  recipientsAnswered({ kind, ref }: Destination): boolean {
    return immediate(this.#db, () => this.sql.unparkAwaiting({ kind, ref, limit: unparkRowsMax }) === unparkRowsMax)
  }

  /** Freezes pending rows that were never transmitted, one batch of them, without moving any. */
  freeze(o: FreezeOptions): FreezeOutcome {
    return immediate(this.#db, (tx) => {
      const outcome = freezeRows(this.sql, o)
      crashPoint('daemon.freeze.before-commit')
      tx.afterCommit(() => crashPoint('daemon.freeze.after-commit'))
      return outcome
    })
  }

  /**
   * Notes of every row that is still to be sent that it came out of a backup: the broker may know its id already.
   *
   * @returns how many
   */
  markRestored(): number {
    return immediate(this.#db, (tx) => {
      const rows = this.sql.markRestored(this.#runtime.now())
      tx.afterCommit(() => crashPoint('daemon.restore.marked'))
      return rows
    })
  }

  /** Records what became of inflight rows. Rows that are not inflight any more are left as they are. */
  settle(settlements: readonly Settlement[]): SettleOutcome {
    const areEnds = settlements.every(({ move }) => move !== 'retry')
    const run = (tx: Tx) => this.#settle(tx, settlements)
    // What becomes pending here must be counted before an accept asks whether anything is.
    return areEnds ? this.#accepts.runWithBatch(run) : immediate(this.#db, run)
  }

  /** Settles, then claims, for the price of one commit. */
  settleAndClaim(
    settlements: readonly Settlement[],
    o: ClaimOptions,
  ): { readonly settlement: SettleOutcome; readonly claim: ClaimOutcome } {
    return this.#accepts.runWithBatch((tx) => ({
      settlement: this.#settle(tx, settlements),
      claim: this.#claim(tx, o),
    }))
  }

  #settle(tx: Tx, settlements: readonly Settlement[]): SettleOutcome {
    const now = this.#runtime.now()
    const settled: string[] = []
    const late: string[] = []
    for (const settlement of settlements) {
      const { outboxId, move } = settlement
      if (this.#applySettlement(settlement, now) === 0) {
        late.push(outboxId)
        continue
      }
      settled.push(outboxId)
      if (move === 'retry') this.#moves.moved(tx, { move, from: 'inflight', rows: 1 })
      else this.#moves.ended(tx, { move, from: 'inflight', outboxId })
    }
    if (settled.length > 0) this.#forgetTold(tx)
    this.#moves.notify(tx, settled)
    crashPoint('daemon.settle.before-commit')
    tx.afterCommit(() => crashPoint('daemon.settle.after-commit'))
    return { settled, late }
  }

  #applySettlement(settlement: Settlement, now: number): number {
    switch (settlement.move) {
      case 'accepted': {
        const { outboxId, brokerMessageId, historyId, recipientCount } = settlement
        return this.sql.settleAccepted({ outboxId, at: now, brokerMessageId, historyId, recipientCount })
      }
      case 'retry': {
        const { outboxId, delayMs, lastError, reseal } = settlement
        const nextAttemptAt = now + delayMs
        return this.sql.settleRetry({ outboxId, nextAttemptAt, parked: delayMs > 0, lastError, reseal })
      }
      case 'refused':
        return this.sql.settleRefused({ outboxId: settlement.outboxId, lastError: settlement.lastError })
      default:
        return settlement satisfies never
    }
  }

  /**
   * Takes back everything inflight when the connection is gone. All rows wait equally long, so that they keep their
   * order. @returns how many
   */
  releaseInflight(o: { readonly now: number; readonly delayMs: number; readonly lastError: string }): number {
    return this.#release('release', { nextAttemptAt: o.now + o.delayMs, lastError: o.lastError })
  }

  #recover(): number {
    const nextAttemptAt = this.#runtime.now() + sendBackoffMsBase
    return this.#release('recover', {
      nextAttemptAt,
      lastError: 'timeout: the daemon stopped before the broker answered',
    })
  }

  #release(move: OutboxMove, o: { readonly nextAttemptAt: number; readonly lastError: string }): number {
    if (this.#moves.counts.inflight === 0) return 0
    return immediate(this.#db, (tx) => {
      const rows = this.sql.releaseInflight(o)
      this.#moves.moved(tx, { move, from: 'inflight', rows })
      return rows
    })
  }

  /**
   * Gives up pending rows older than `maxAgeMs`, at most one batch of them: the broker may have forgotten their ids, so
   * that sending them could make a second copy. @returns how many; as many as `sweepRowsMax` means there may be more
   */
  expire(o: { readonly now: number; readonly maxAgeMs: number }): number {
    const before = o.now - o.maxAgeMs
    const oldest = this.oldestPendingAt()
    if (oldest === null || oldest >= before) return 0
    return immediate(this.#db, (tx) => {
      const ids = this.sql.olderPending({ before, limit: sweepRowsMax })
      const hours = Math.floor(o.maxAgeMs / 3_600_000)
      for (const id of ids) {
        const changed = this.sql.expirePending({
          id,
          lastError: `${'max_age_exceeded' satisfies ErrorCode}: not accepted within ${hours} hours`,
        })
        assertOne(changed, 'expire')
        this.#moves.ended(tx, { move: 'expire', from: 'pending', outboxId: id })
      }
      this.#moves.notify(tx, ids)
      return ids.length
    })
  }

  // ---- operator ----------------------------------------------------------------------------------------------------

  /** Ends a pending or dead row and puts a new pending row in its place, in one transaction. */
  requeue(o: RequeueOptions): RequeueOutcome {
    return immediate(this.#db, (tx) => {
      const parts = { sql: this.sql, moves: this.#moves }
      const outcome = requeueRow(tx, parts, { ...o, now: this.#runtime.now() })
      crashPoint('daemon.requeue.before-commit')
      tx.afterCommit(() => crashPoint('daemon.requeue.after-commit'))
      return outcome
    })
  }

  /** Ends a pending or dead row for good. Its id stays bound to it. */
  drop(o: { readonly id: string; readonly by: string }): DropOutcome {
    const parts = { sql: this.sql, moves: this.#moves }
    return immediate(this.#db, (tx) => {
      const outcome = dropRow(tx, parts, { ...o, now: this.#runtime.now() })
      crashPoint('daemon.drop.before-commit')
      tx.afterCommit(() => crashPoint('daemon.drop.after-commit'))
      return outcome
    })
  }

  /**
   * Deletes dead or aborted rows that were accepted at or before a time, at most one batch of them.
   *
   * @returns how many; as many as `sweepRowsMax` means there may be more
   */
  prune(o: { readonly status: 'dead' | 'aborted'; readonly acceptedUntil: number }): number {
    return immediate(this.#db, (tx) => {
      this.sql.notePosition()
      const rows = this.sql.deleteEnded({ status: o.status, before: o.acceptedUntil, limit: sweepRowsMax })
      this.#moves.deleted(tx, { from: o.status, rows })
      crashPoint('daemon.prune.before-commit')
      tx.afterCommit(() => crashPoint('daemon.prune.after-commit'))
      return rows
    })
  }

  /**
   * Removes the contents of rows that have been done for a day, and rows that have been done for 30 days or as long as
   * the broker remembers ids, whichever is longer; at most one batch of each. Dead and aborted rows stay.
   *
   * @param o.dedupeRetentionDays null when the broker never forgets or has not been met
   */
  retain(o: { readonly now: number; readonly dedupeRetentionDays: number | null }): {
    stripped: number
    deleted: number
  } {
    const days = Math.max(doneRetentionDaysMin, o.dedupeRetentionDays ?? 0)
    return immediate(this.#db, (tx) => {
      const stripped = this.sql.stripDone({ before: o.now - doneContentsRetentionMs, limit: sweepRowsMax })
      this.sql.notePosition()
      const deleted = this.sql.deleteDone({ before: o.now - days * msPerDay, limit: sweepRowsMax })
      this.#moves.deleted(tx, { from: 'done', rows: deleted })
      return { stripped, deleted }
    })
  }

  // ---- receipts and announcements ----------------------------------------------------------------------------------

  /**
   * Stores what is proven at recipients. A receipt that is there already, or whose message this outbox does not have,
   * changes nothing. A receipt may arrive before the broker's answer to the send it is about has been settled.
   */
  recordReceipts(items: readonly ReceiptItem[]): void {
    this.#accepts.runWithBatch((tx) => {
      const changed = new Set<string>()
      for (const item of items) {
        const outboxId =
          this.sql.findByBrokerMessageId(item.broker_message_id) ??
          this.sql.findUnansweredByClientMessageId(item.client_message_id)
        if (outboxId === null) continue
        const { recipient, state, at, reason = null } = item
        if (!this.sql.insertReceipt({ outboxId, recipient, state, at, reason })) continue
        this.sql.announce({ outboxId, kind: 'receipt', recipient, state })
        changed.add(outboxId)
      }
      if (changed.size > 0) this.#forgetTold(tx)
      this.#moves.notify(tx, [...changed])
    })
  }

  /**
   * To be called when their events are stored. They go with the next commit that makes announcements: alone they are not
   * worth one, since whoever finds them again after a crash knows by their place that they have been told.
   */
  forgetAnnouncements(throughSeq: number): void {
    this.#toldThrough = throughSeq
  }

  #forgetTold(tx: Tx): void {
    const throughSeq = this.#toldThrough
    if (throughSeq === null) return
    this.sql.forgetAnnouncements(throughSeq)
    tx.afterCommit(() => {
      if (this.#toldThrough === throughSeq) this.#toldThrough = null
    })
  }
}

function passClaim(tx: Tx): void {
  crashPoint('daemon.claim.before-commit')
  tx.afterCommit(() => crashPoint('daemon.claim.after-commit'))
}
