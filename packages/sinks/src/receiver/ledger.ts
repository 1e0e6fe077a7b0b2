/**
 * What a receiver has: each batch once, with its rows.
 *
 * 1. A batch, its rows and the answer to it are one commit: whoever sees the answer can rely on the rows.
 * 2. A batch that comes again changes nothing and gets the first answer, whatever comes with it.
 */
import { closeDatabase, crashPoint, type Database, immediate, openDatabase, read } from '@claudemesh/storage'
import { type LedgerCounts, LedgerStatements, type StoredBatch } from './statements.ts'

export type { LedgerCounts, StoredBatch } from './statements.ts'

export class Ledger {
  readonly #db: Database
  readonly #statements: LedgerStatements
  readonly #now: () => number

  /** @throws what `openDatabase` throws */
  static open(o: { readonly path: string; readonly now: () => number }): Ledger {
    return new Ledger(openDatabase({ ...o, migrations: new URL('./schema/', import.meta.url) }), o.now)
  }

  private constructor(db: Database, now: () => number) {
    this.#db = db
    this.#statements = new LedgerStatements(db)
    this.#now = now
  }

  /** @throws MeshError `insufficient_storage`, `storage_failed`; nothing was stored then */
  store(batchId: string, rows: readonly string[]): StoredBatch {
    return immediate(this.#db, () => {
      const known = this.#statements.find(batchId)
      if (known !== null) {
        this.#statements.countRepeat(batchId)
        return known
      }
      const batch = { batch_id: batchId, stored_at: this.#now(), rows: rows.length }
      this.#statements.insert(batch, rows)
      crashPoint('ledger.before_commit')
      return batch
    })
  }

  counts(): LedgerCounts {
    return read(this.#db, () => this.#statements.counts())
  }

  /** Every row, as it came, in the order of arrival. */
  *rows(): IterableIterator<string> {
    yield* this.#statements.rows()
  }

  close(): void {
    closeDatabase(this.#db)
  }
}
