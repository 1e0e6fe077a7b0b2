/**
 * One holder per path, over all processes of this host.
 *
 * The lock is SQLite's exclusive lock on an otherwise empty file: the kernel's own advisory lock on an open file,
 * without a native dependency of our own.
 *
 * 1. It belongs to the process, not to the content of the file: it is gone the instant the process is, by whatever
 *    death, and neither a stale file nor a recycled pid ever keeps anybody out.
 * 2. Of any number of starters that race, exactly one holds it.
 * 3. It is held until `release`, also when nobody refers to the FileLock any more.
 *
 * Two hazards. The file must never be deleted, or a newcomer locks another file of the same name. And no code of this
 * process may open and close the file with `fs` while it is held: the kernel drops a process's locks on a file as soon
 * as the process closes any descriptor of it.
 */
import { closeSync, existsSync, openSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import { toStorageError } from './storage-error.ts'
import type { Database } from './transaction.ts'

/**
 * Starters that race disturb each other for an instant, by the shared lock that comes before the exclusive one. With no
 * wait at all each could give way to the other and nobody would hold it.
 */
const raceWaitMs = 250

/** Keeps held locks from being collected, which would close and so release them. */
const held = new Set<FileLock>()

export class FileLock {
  readonly #db: Database

  private constructor(db: Database) {
    this.#db = db
  }

  /**
   * Takes the lock, making its file (0600) when there is none.
   *
   * @returns null when somebody else holds it
   */
  static acquire(path: string): FileLock | null {
    createEmpty(path)
    const db = open(path, { timeout: raceWaitMs })
    try {
      db.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      db.close()
      if (isBusy(error)) return null
      throw refusal(error, path)
    }
    const lock = new FileLock(db)
    held.add(lock)
    return lock
  }

  /** Gives the lock up. Repeating it changes nothing. */
  release(): void {
    held.delete(this)
    this.#db.close()
  }
}

/** Whether some process, this one included, holds the lock of that path. It takes nothing and waits for nobody. */
export function isLocked(path: string): boolean {
  if (!existsSync(path)) return false
  const db = open(path, { timeout: 0, readonly: true })
  try {
    db.pragma('schema_version')
    return false
  } catch (error) {
    if (isBusy(error)) return true
    throw refusal(error, path)
  } finally {
    db.close()
  }
}

function createEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    // It is there already, perhaps held by this very process: then it must not be opened here at all.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw toStorageError(error, path)
  }
}

function open(path: string, options: BetterSqlite3.Options): Database {
  try {
    return new BetterSqlite3(path, options)
  } catch (error) {
    throw refusal(error, path)
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof BetterSqlite3.SqliteError && error.code.startsWith('SQLITE_BUSY')
}

function refusal(error: unknown, path: string): unknown {
  if (!(error instanceof BetterSqlite3.SqliteError) || error.code !== 'SQLITE_NOTADB')
    return toStorageError(error, path)
  return new MeshError('start_failed', {
    detail: `${path} should be an empty lock file and has other content`,
    hint: 'Make sure that the directory is the right one, then move that file away.',
    cause: error,
  })
}
