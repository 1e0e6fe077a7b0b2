import { readFileSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { listMigrations } from './migrate.ts'
import type { Database } from './transaction.ts'

/**
 * A database for a computation, gone when it is closed or the process ends. It spills to a file without a name, which
 * nobody else can open, when it outgrows its cache.
 *
 * @param migrations directory of NNN-name.sql, with a slash at its end
 */
export function openScratch(migrations: URL): Database {
  const db = new BetterSqlite3('')
  db.pragma('synchronous = OFF')
  db.pragma('foreign_keys = ON')
  db.pragma('temp_store = FILE')
  for (const { file } of listMigrations(migrations)) db.exec(readFileSync(file, 'utf8'))
  return db
}
