import BetterSqlite3 from 'better-sqlite3'
import type { Database } from './transaction.ts'

/** SQLITE_IOERR; the codes that are more precise have it in their lowest byte. */
const inputOutput = 10

/**
 * Visits every page (`quick_check`: structure, order and form of every record; not the agreement of indexes with their
 * tables).
 *
 * @returns what is wrong first, as SQLite says it; null: nothing
 * @throws SqliteError also when a page could not be read, which the check only reports: a disk that fails says nothing of what
 *   is on it
 */
export function findDamage(db: Database): string | null {
  const verdict = String(db.pragma('quick_check(1)', { simple: true }))
  const code = /error code=(\d+)/.exec(verdict)?.[1]
  if (code !== undefined && (Number(code) & 0xff) === inputOutput) {
    throw new BetterSqlite3.SqliteError(verdict, 'SQLITE_IOERR')
  }
  return verdict === 'ok' ? null : verdict
}
