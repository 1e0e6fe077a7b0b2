/**
 * Messages that offer a share and of which the store of artifacts has yet to hear (06 §17).
 *
 * 1. An offer is noted in the transaction that stores its message, so that a crash between the two stores loses none.
 * 2. It is waiting until it is `taken`. Who takes it in does so once, however often it is found here.
 *
 * It does not look at what is offered.
 */
import { type Database, immediate, type Tx } from '@claudemesh/storage'
import type { InboxRow } from './rows.ts'
import { type OfferStatements, prepareOffers } from './statements.ts'

export class OfferedShares {
  readonly #db: Database
  readonly #sql: OfferStatements
  #listener: () => void = () => undefined

  constructor(db: Database) {
    this.#db = db
    this.#sql = prepareOffers(db)
  }

  /** Calls the one listener after each commit that noted offers. */
  onNoted(listener: () => void): void {
    this.#listener = listener
  }

  /** Part of the transaction that stores messages. @param seqs of messages that offer something */
  note(tx: Tx, seqs: readonly number[]): void {
    for (const seq of seqs) this.#sql.insert(seq)
    if (seqs.length > 0) tx.afterCommit(() => this.#listener())
  }

  /** Messages whose offers wait, in order of arrival. */
  waiting(limit: number): readonly InboxRow[] {
    return this.#sql.waiting(limit)
  }

  /** Everything that waited, up to and including this message, is taken in. */
  taken(throughSeq: number): void {
    immediate(this.#db, () => this.#sql.remove(throughSeq))
  }
}
