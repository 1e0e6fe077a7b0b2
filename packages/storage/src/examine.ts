/**
 * A look at a database that somebody else may have open, and that may be damaged.
 *
 * 1. Nothing is written: no migration, no checkpoint, no repair.
 * 2. Whoever writes to the file goes on meanwhile. The log of writes cannot be emptied while a statement reads.
 */
import { statSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import { saysCorrupt, toStorageError } from './storage-error.ts'
import type { Database } from './transaction.ts'

const busyWaitMs = 5_000
/** Faults that are named; a damaged page makes many. */
const faultsMax = 100

/**
 * Opens a file to be read alone. A missing one is ENOENT, thrown as it is.
 *
 * @throws MeshError `database_corrupt` when it is no database, `storage_failed`
 */
export function openForReading(path: string): Database {
  // SQLite would take it for a new database, and delete a log of writes that lies beside it.
  if (statSync(path).size === 0) throw corrupt(path, 'the file is empty')
  let db: Database | null = null
  try {
    db = new BetterSqlite3(path, { readonly: true, fileMustExist: true, timeout: busyWaitMs })
    db.pragma('cell_size_check = ON')
    db.pragma('mmap_size = 0')
    db.pragma('temp_store = MEMORY')
    return db
  } catch (error) {
    db?.close()
    throw saysCorrupt(error)
      ? corrupt(path, error instanceof Error ? error.message : error)
      : toStorageError(error, path)
  }
}

/**
 * Reads the whole file, and compares each index with its table.
 *
 * @returns what is wrong with its structure, its constraints, its indexes and its references; nothing for a sound one
 */
export function listDamage(db: Database): readonly string[] {
  try {
    const verdicts = db.pragma(`integrity_check(${faultsMax})`) as readonly { readonly integrity_check: string }[]
    const faults = verdicts.map((row) => row.integrity_check).filter((verdict) => verdict !== 'ok')
    if (faults.length > 0) return faults
    const strays = db.pragma('foreign_key_check') as readonly { readonly table: string; readonly parent: string }[]
    return strays.slice(0, faultsMax).map(({ table, parent }) => `a row of ${table} refers to no row of ${parent}`)
  } catch (error) {
    if (!saysCorrupt(error)) throw toStorageError(error, db.name)
    return [error instanceof Error ? error.message : String(error)]
  }
}

function corrupt(path: string, reason: unknown): MeshError {
  return new MeshError('database_corrupt', { detail: `${path} is damaged: ${reason}`, data: { path } })
}
