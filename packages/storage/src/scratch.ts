import { closeSync, openSync, readFileSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { listMigrations, type MigrateOptions, migrate } from './migrate.ts'
import { toStorageError } from './storage-error.ts'
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

/**
 * A new database that is worth nothing until it is whole. No write to it waits for the disk, and none of it survives a
 * crash for certain: once it is closed its file is to be synced, and opened with `openDatabase`.
 *
 * @param path where nothing is; its directory exists
 * @throws MeshError `insufficient_storage`, `storage_failed`, `start_failed`
 */
export function openDraft(path: string, options: MigrateOptions): Database {
  try {
    closeSync(openSync(path, 'wx', 0o600))
    const db = new BetterSqlite3(path)
    db.pragma('journal_mode = OFF')
    db.pragma('synchronous = OFF')
    db.pragma('temp_store = MEMORY')
    migrate(db, options)
    return db
  } catch (error) {
    throw toStorageError(error, path)
  }
}
