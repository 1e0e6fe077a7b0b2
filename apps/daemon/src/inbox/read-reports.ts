/**
 * What the reader of this inbox has marked read and the broker has yet to be told (02 §10).
 *
 * 1. A report is written in the transaction of the mark: what is not marked is never reported, and what is marked is
 *    reported also after a crash.
 * 2. A message is reported once. Marking it unread does not take back that it was read, and marking it again adds
 *    nothing.
 *
 * It does not send: receive/read-reporter.ts does.
 */
import { type Database, immediate, type Tx } from '@claudemesh/storage'
import type { ReadReport } from './rows.ts'
import { prepareReadReports, type ReadReportStatements } from './statements.ts'

export class ReadReports {
  readonly #db: Database
  readonly #sql: ReadReportStatements
  #listener: () => void = () => undefined

  constructor(db: Database) {
    this.#db = db
    this.#sql = prepareReadReports(db)
  }

  /** Calls the one listener after each commit that made reports. */
  onNoted(listener: () => void): void {
    this.#listener = listener
  }

  /** Part of the transaction that marks messages. One that could not be opened was not read, whatever it is marked. */
  note(tx: Tx, ids: readonly string[], at: number): void {
    const noted = ids.filter((id) => this.#sql.insert(id, at)).length
    if (noted > 0) tx.afterCommit(() => this.#listener())
  }

  /** Reports that were not answered, oldest first. */
  waiting(limit: number): readonly ReadReport[] {
    return this.#sql.waiting(limit)
  }

  /** The broker has all that waited, up to and including this one. */
  answered(throughSeq: number): void {
    immediate(this.#db, () => this.#sql.answer(throughSeq))
  }

  /**
   * Removes reports of marks made before a time, answered or not: no broker keeps their messages any more.
   *
   * @param options.rowsMax bound of one transaction; as many removed rows say that there may be more
   * @returns how many were removed
   */
  retain(options: { readonly before: number; readonly rowsMax: number }): number {
    if (!this.#sql.anyBefore(options.before)) return 0
    return immediate(this.#db, () => this.#sql.removeBefore(options.before, options.rowsMax))
  }
}
