/**
 * The SQL that storage itself needs: the record of migrations and the look at a large file. Pragmas and transaction
 * boundaries stand beside their use.
 */
import type { Database, Statement } from './transaction.ts'

const createMigrationTable = `
  CREATE TABLE IF NOT EXISTS schema_migration (
    version    INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
  ) STRICT`

const countMigrationTables = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'`

const selectSchemaVersion = `SELECT coalesce(max(version), 0) FROM schema_migration`

const insertMigration = `INSERT INTO schema_migration (version, name, applied_at) VALUES (?, ?, ?)`

const selectLibraryVersion = `SELECT sqlite_version()`

const selectTables = `
  SELECT name, wr AS without_rowid FROM pragma_table_list
   WHERE schema = 'main' AND type IN ('table', 'shadow')`

/** The version of the SQLite library that serves this handle. It does not touch the file. */
export function readLibraryVersion(db: Database): string {
  return one<string>(db.prepare(selectLibraryVersion))
}

/** The highest migration recorded; 0 for a database that has none. */
export function readSchemaVersion(db: Database): number {
  if (one<number>(db.prepare(countMigrationTables)) === 0) return 0
  return one<number>(db.prepare(selectSchemaVersion))
}

/** Records a migration, making the table of records with the first one. Only inside a transaction. */
export function recordMigration(
  db: Database,
  migration: { readonly version: number; readonly name: string; readonly appliedAt: number },
): void {
  db.exec(createMigrationTable)
  db.prepare(insertMigration).run(migration.version, migration.name, migration.appliedAt)
}

/** Reads the first row of every table, and the last one where the table has row ids. SQLite throws when a page is damaged. */
export function readEndsOfTables(db: Database): void {
  const tables = db.prepare<[], { name: string; without_rowid: number }>(selectTables).all()
  for (const { name, without_rowid } of tables) {
    const table = `"${name.replaceAll('"', '""')}"`
    db.prepare(`SELECT * FROM ${table} LIMIT 1`).get()
    if (without_rowid === 0) db.prepare(`SELECT * FROM ${table} ORDER BY _rowid_ DESC LIMIT 1`).get()
  }
}

function one<T>(statement: Statement): T {
  return statement.pluck().get() as T
}
