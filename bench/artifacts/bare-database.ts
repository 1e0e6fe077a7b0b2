import BetterSqlite3 from 'better-sqlite3'

/** A database as durable as that of the store, with no store around it. */
export function openBare(path: string): BetterSqlite3.Database {
  const db = new BetterSqlite3(path)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  // The packages that rows refer to are not copied.
  db.pragma('foreign_keys = OFF')
  return db
}
