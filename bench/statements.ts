/** The SQL of the bare limits: rows copied as they are, with nothing around them. */
import BetterSqlite3 from 'better-sqlite3'

/** Column name to value, in the order of the table. */
export type Row = Readonly<Record<string, string | number | bigint | Buffer | null>>

type Database = BetterSqlite3.Database

/** A row of a table in a database that somebody else is writing. */
export function readRow(path: string, table: string): Row {
  const db = new BetterSqlite3(path, { readonly: true })
  try {
    const row = db.prepare<[], Row>(`SELECT * FROM ${table} LIMIT 1`).get()
    if (row === undefined) throw new Error(`${table} has no row`)
    return row
  } finally {
    db.close()
  }
}

/** Inserts rows that have the columns of `like`. */
export function prepareInsert(db: Database, table: string, like: Row): (row: Row) => void {
  const columns = Object.keys(like)
  const insert = db.prepare(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((column) => `@${column}`).join(', ')})`,
  )
  return (row) => void insert.run(row)
}
