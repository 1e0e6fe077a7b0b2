/** The SQL that fills tables: a real row copied many times, by SQLite alone. */
import BetterSqlite3 from 'better-sqlite3'
import type { Row } from '../statements.ts'

/** Rows to be made. */
export interface Copies {
  readonly table: string
  /** The row that all are like. */
  readonly like: Row
  /** SQL of the columns in which they differ; `n` is the number of a copy. */
  readonly differing: Readonly<Record<string, string>>
  /** Number of the first copy; it goes on from there. */
  readonly first: number
  readonly count: number
}

/**
 * Adds copies to a database that nobody else writes to. They need not survive a crash, so nothing waits for the disk.
 *
 * @param path a file that exists, with its schema
 */
export function fillByCopies(path: string, copies: readonly Copies[]): void {
  const db = new BetterSqlite3(path, { fileMustExist: true })
  try {
    db.pragma('synchronous = OFF')
    db.pragma('cache_size = -262144')
    for (const { table, like, differing, first, count } of copies) {
      if (count <= 0) continue
      const columns = Object.keys({ ...like, ...differing })
      const values = columns.map((column) => differing[column] ?? `@${column}`)
      db.prepare(
        `WITH RECURSIVE number (n) AS (SELECT @first UNION ALL SELECT n + 1 FROM number WHERE n + 1 < @first + @count)
         INSERT INTO ${table} (${columns.join(', ')}) SELECT ${values.join(', ')} FROM number`,
      )
        // As integers: SQLite takes a plain number for a real one.
        .run({ ...like, first: BigInt(first), count: BigInt(count) })
    }
    db.pragma('wal_checkpoint(TRUNCATE)')
  } finally {
    db.close()
  }
}
