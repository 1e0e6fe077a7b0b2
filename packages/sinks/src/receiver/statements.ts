/** All SQL of the ledger. Rows are mapped here and nowhere else. */
import type { Database, Statement } from '@claudemesh/storage'

/** What was answered when a batch first came, and is answered whenever it comes again. */
export interface StoredBatch {
  readonly batch_id: string
  readonly stored_at: number
  readonly rows: number
}

/** What is in the ledger. `repeats`: batches that came again. */
export interface LedgerCounts {
  readonly batches: number
  readonly rows: number
  readonly repeats: number
}

const selectBatch = 'SELECT batch_id, stored_at, rows FROM batch WHERE batch_id = ?'
const insertBatch = 'INSERT INTO batch (batch_id, stored_at, rows) VALUES (:batch_id, :stored_at, :rows)'
const insertRow = 'INSERT INTO batch_row (batch_id, position, row) VALUES (?, ?, ?)'
const countRepeat = 'UPDATE batch SET repeats = repeats + 1 WHERE batch_id = ?'
const selectCounts =
  'SELECT count(*) AS batches, coalesce(sum(rows), 0) AS rows, coalesce(sum(repeats), 0) AS repeats FROM batch'
const selectRows = `
  SELECT batch_row.row
    FROM batch_row JOIN batch USING (batch_id)
   ORDER BY batch.rowid, batch_row.position`

export class LedgerStatements {
  readonly #select: Statement<[string], StoredBatch>
  readonly #insert: Statement<[StoredBatch]>
  readonly #insertRow: Statement<[string, number, string]>
  readonly #countRepeat: Statement<[string]>
  readonly #counts: Statement<[], LedgerCounts>
  readonly #rows: Statement<[], string>

  constructor(db: Database) {
    this.#select = db.prepare(selectBatch)
    this.#insert = db.prepare(insertBatch)
    this.#insertRow = db.prepare(insertRow)
    this.#countRepeat = db.prepare(countRepeat)
    this.#counts = db.prepare(selectCounts)
    this.#rows = db.prepare<[], string>(selectRows).pluck() as Statement<[], string>
  }

  find(batchId: string): StoredBatch | null {
    return this.#select.get(batchId) ?? null
  }

  insert(batch: StoredBatch, rows: readonly string[]): void {
    this.#insert.run(batch)
    for (const [position, row] of rows.entries()) this.#insertRow.run(batch.batch_id, position, row)
  }

  countRepeat(batchId: string): void {
    this.#countRepeat.run(batchId)
  }

  counts(): LedgerCounts {
    return this.#counts.get() ?? { batches: 0, rows: 0, repeats: 0 }
  }

  rows(): IterableIterator<string> {
    return this.#rows.iterate()
  }
}
