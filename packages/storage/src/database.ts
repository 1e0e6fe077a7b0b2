/**
 * Opening and closing a SQLite database.
 *
 * 1. A commit on a handle from here is on the disk when it returns: WAL with synchronous=FULL, set and read back. The
 *    build of SQLite in use defaults to less, and a handle that trusts the default loses acknowledged rows. Only where
 *    `syncs` asks for it, a power cut may take the last commits, whole ones and the last ones first; see `synced`.
 * 2. A file that is damaged is refused as it was found, and so is a library with known data loss.
 * 3. The file and its companions are readable by their owner alone.
 * 4. Opening costs a bounded time whatever the size of the file; see `checkIntegrity`.
 * 5. What the log shows is on the disk before anything is written behind it or moved out of it, also after an fsync of
 *    it has failed; see `rewritten-file.ts`.
 */
import { closeSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import { syncDirectory } from './atomic-file.ts'
import { findDamage } from './find-damage.ts'
import { migrate } from './migrate.ts'
import { assertPrivateFile } from './private-path.ts'
import { rewriteSynced } from './rewritten-file.ts'
import { readEndsOfTables, readLibraryVersion } from './statements.ts'
import { saysCorrupt, saysRollbackNeeded, toStorageError } from './storage-error.ts'
import { type Database, immediate, isBroken, noteFailure, type Tx } from './transaction.ts'

export interface OpenDatabaseOptions {
  readonly path: string
  /** Directory of NNN-name.sql, with a slash at its end. */
  readonly migrations: URL
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /**
   * When the log is synced: with each commit unless said otherwise. `checkpoints` is for what can be made again from
   * another database: a power cut, and nothing else, may take commits that came after the last checkpoint.
   */
  readonly syncs?: 'commits' | 'checkpoints'
  /** Whoever made the file has just read all of it: it is not read again. */
  readonly isChecked?: boolean
}

/** Versions before this one can lose committed pages when the WAL is reset. */
const libraryVersionMin = '3.51.3'

/** How long a statement waits for another process's lock; the event loop stands still meanwhile. */
const busyWaitMs = 5_000

/**
 * Databases up to this size are checked whole at every start. A check reads each page once, under a second per gigabyte
 * from memory and as long as the disk takes otherwise.
 */
const wholeCheckBytesMax = 1024 * 1024 * 1024

interface Setting {
  readonly pragma: string
  readonly value: string | number
  readonly readBack: unknown
}

const synchronousFull: Setting = { pragma: 'synchronous', value: 'FULL', readBack: 2 }
const synchronousNormal: Setting = { pragma: 'synchronous', value: 'NORMAL', readBack: 1 }

/** What every handle is set to, and what must come back when it is read. */
const settings: readonly Setting[] = [
  { pragma: 'journal_mode', value: 'WAL', readBack: 'wal' },
  synchronousFull,
  // On macOS a plain fsync stops at the drive's cache. Elsewhere these two have no effect.
  { pragma: 'fullfsync', value: 'ON', readBack: 1 },
  { pragma: 'checkpoint_fullfsync', value: 'ON', readBack: 1 },
  { pragma: 'foreign_keys', value: 'ON', readBack: 1 },
  // A damaged page is an error at the moment it is read instead of wrong rows.
  { pragma: 'cell_size_check', value: 'ON', readBack: 1 },
  // A disk error under a memory map is a SIGBUS instead of an error code.
  { pragma: 'mmap_size', value: 0, readBack: 0 },
  // Negative: KiB. Inner pages of a table of millions fit; leaves come from the page cache of the system.
  { pragma: 'cache_size', value: -8_192, readBack: -8_192 },
  // Messages in plain text must not end up in temporary files outside the home.
  { pragma: 'temp_store', value: 'MEMORY', readBack: 2 },
  { pragma: 'wal_autocheckpoint', value: 1_000, readBack: 1_000 },
  // After a burst the WAL file shrinks back to this at the next checkpoint that empties it.
  { pragma: 'journal_size_limit', value: 64 * 1024 * 1024, readBack: 64 * 1024 * 1024 },
]

/**
 * Opens a database, making it (0600) when there is none, and brings it to the newest schema.
 *
 * @throws MeshError `database_corrupt`, `schema_too_new`, `sqlite_unsafe`, `unsafe_permissions`,
 *   `insufficient_storage`, `storage_failed` or `start_failed`
 */
export function openDatabase(options: OpenDatabaseOptions): Database {
  const { path } = options
  const isNew = createFile(path)
  let db: Database | null = null
  try {
    if (!isNew && options.isChecked !== true) inspectFile(path)
    db = new BetterSqlite3(path, { timeout: busyWaitMs })
    assertLibrary(readLibraryVersion(db))
    for (const setting of settings) applySetting(db, setting)
    renewLog(db)
    migrate(db, { directory: options.migrations, now: options.now })
    if (options.syncs === 'checkpoints') {
      applySetting(db, synchronousNormal)
      syncedAtCheckpoints.add(db)
    }
    // SQLite syncs the directory of a new log too, and does not look whether that succeeds.
    syncDirectory(dirname(path))
    return db
  } catch (error) {
    if (db !== null) closeQuietly(db)
    throw saysCorrupt(error) ? corrupt(path, error) : toStorageError(error, path)
  }
}

/**
 * Moves everything from the WAL into the database file and closes it. Nothing depends on it: what a killed process
 * leaves behind is read at the next start. Closing twice changes nothing.
 */
export function closeDatabase(db: Database): void {
  if (!db.open) return
  try {
    // Closing moves the log into the file by itself, and the log of a handle that has failed is not all on the disk.
    if (isBroken(db)) renewLog(db)
    db.pragma('wal_checkpoint(TRUNCATE)')
  } catch {
    // A full or failing disk. Every commit is in the WAL, which stays and is read at the next start.
    if (isBroken(db)) return
  }
  db.close()
}

/**
 * Moves what it can from the WAL into the database file without waiting for readers.
 *
 * @throws MeshError `insufficient_storage` or `storage_failed`
 */
export function checkpoint(db: Database): void {
  try {
    db.pragma('wal_checkpoint(PASSIVE)')
  } catch (error) {
    throw noteFailure(db, error)
  }
}

/** Handles whose commits are not synced one by one. */
const syncedAtCheckpoints = new WeakSet<Database>()

/**
 * Runs one write transaction as `immediate` does, on a handle whose log is synced at checkpoints: when it returns, this
 * commit is on the disk, and so is every one before it.
 *
 * @throws what `immediate` throws
 */
export function synced<T>(db: Database, run: (tx: Tx) => T): T {
  if (!syncedAtCheckpoints.has(db)) throw new Error('every commit of this database is synced')
  applySetting(db, synchronousFull)
  try {
    return immediate(db, run)
  } finally {
    applySetting(db, synchronousNormal)
  }
}

/**
 * Refuses SQLite before 3.51.3.
 *
 * @throws MeshError `sqlite_unsafe`
 */
export function assertLibrary(version: string): void {
  if (compareVersions(version, libraryVersionMin) >= 0) return
  throw new MeshError('sqlite_unsafe', {
    detail: `SQLite ${version} is in use; ${libraryVersionMin} or newer is needed`,
  })
}

/**
 * Looks for damage. Up to `wholeBytesMax` every page is visited (`quick_check`: structure, order and form of every
 * record; not the agreement of indexes with their tables). A larger file would keep the start waiting for as long as
 * the disk takes to read it all, so there only the schema and both ends of every table are read; damage
 * further inside is an error when it is met, because every page is checked as it is read.
 *
 * @throws MeshError `database_corrupt`, or SQLite's own error that says so
 */
export function checkIntegrity(db: Database, wholeBytesMax: number): void {
  const bytes = Number(db.pragma('page_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }))
  if (bytes > wholeBytesMax) {
    readEndsOfTables(db)
    return
  }
  const damage = findDamage(db)
  if (damage !== null) throw corrupt(db.name, new Error(damage))
}

/** The version of the SQLite library in use. */
export function libraryVersion(db: Database): string {
  return readLibraryVersion(db)
}

/**
 * Makes an empty file before SQLite would, so that its mode is right from the first instant; SQLite gives the WAL and
 * the shared memory the same one. A file that is there is not opened: closing it again would drop the locks that this
 * process may hold on it.
 *
 * @returns whether there was none
 */
function createFile(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx', 0o600))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw toStorageError(error, path)
  }
}

/**
 * Checks a file through a handle that cannot write: closing a handle that can would move the WAL into a file that has
 * just been found damaged, and with it what a rescue would need.
 */
function inspectFile(path: string): void {
  assertPrivateFile(path)
  const walBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  if (statSync(path).size === 0) {
    if (walBytes === 0) return
    // SQLite would take the empty file for a new database and delete the WAL with its committed rows.
    throw corrupt(path, new Error('the file is empty although its WAL is not'))
  }
  try {
    inspectThrough(path, { readonly: true })
  } catch (error) {
    if (!saysRollbackNeeded(error)) throw error
    // A start was killed while it made the database, and left a journal that only a handle that can write plays back.
    inspectThrough(path, { readonly: false })
  }
}

function inspectThrough(path: string, access: { readonly readonly: boolean }): void {
  const db = new BetterSqlite3(path, { ...access, timeout: busyWaitMs })
  try {
    db.pragma('cell_size_check = ON')
    checkIntegrity(db, wholeCheckBytesMax)
  } finally {
    closeQuietly(db)
  }
}

function applySetting(db: Database, { pragma, value, readBack }: Setting): void {
  db.pragma(`${pragma} = ${value}`)
  const found: unknown = db.pragma(pragma, { simple: true })
  if (found === readBack) return
  throw new MeshError('start_failed', {
    detail: `SQLite did not take ${pragma}=${value} for ${db.name}; it says ${found}`,
    hint: 'Put the directory on a local disk; network file systems cannot hold a database.',
  })
}

/** Makes what the log shows durable, whatever became of earlier attempts. @throws when the disk or another writer refuses */
function renewLog(db: Database): void {
  // While this holds, nobody appends to the log or begins it anew, so that the bytes read are still those to be written.
  db.transaction(() => rewriteSynced(`${db.name}-wal`)).immediate()
}

function corrupt(path: string, cause: unknown): MeshError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new MeshError('database_corrupt', { detail: `${path} is damaged: ${reason}`, data: { path }, cause })
}

function closeQuietly(db: Database): void {
  try {
    db.close()
  } catch {
    // Only after an error that is the one to report, or from reading alone; the handle ends with the process at the latest.
  }
}

function compareVersions(left: string, right: string): number {
  const rightParts = right.split('.').map(Number)
  for (const [index, part] of left.split('.').map(Number).entries()) {
    const difference = part - (rightParts[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
