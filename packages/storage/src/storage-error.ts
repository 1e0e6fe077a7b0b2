/**
 * What a failure of SQLite or of the file system means to the rest of the program, as one table.
 *
 * `broken`: the handle can no longer be trusted. After a failed fsync the kernel has dropped the pages and a later
 * fsync that succeeds does not bring them back, so nothing may be acknowledged through that handle any more.
 */
import { type ErrorCode, MeshError } from '@claudemesh/protocol'

interface StorageFailure {
  readonly code: ErrorCode
  readonly broken: boolean
  readonly detail: string
}

const full: StorageFailure = { code: 'insufficient_storage', broken: false, detail: 'the disk is full' }
const readOnly: StorageFailure = { code: 'storage_failed', broken: true, detail: 'the file cannot be written' }
const inputOutput: StorageFailure = { code: 'storage_failed', broken: true, detail: 'the disk failed to read or write' }

/** Primary result codes of SQLite; an extended code such as SQLITE_IOERR_FSYNC is looked up by its primary part. */
const bySqliteCode: Readonly<Record<string, StorageFailure>> = {
  SQLITE_FULL: full,
  SQLITE_IOERR: inputOutput,
  SQLITE_READONLY: readOnly,
  SQLITE_CANTOPEN: { code: 'storage_failed', broken: true, detail: 'a database file cannot be opened' },
  SQLITE_CORRUPT: { code: 'storage_failed', broken: true, detail: 'the database is damaged' },
  SQLITE_NOTADB: { code: 'storage_failed', broken: true, detail: 'the file is not a database' },
  SQLITE_BUSY: { code: 'storage_failed', broken: false, detail: 'another process holds the database' },
}

const byErrno: Readonly<Record<string, StorageFailure>> = {
  ENOSPC: full,
  EDQUOT: full,
  EFBIG: full,
  EIO: inputOutput,
  EROFS: readOnly,
}

/** What a thrown value means for storage, or null when it is not a failure of the storage below us. */
export function classifyStorageFailure(error: unknown): StorageFailure | null {
  const code = codeOf(error)
  if (code === null) return null
  const primary = /^SQLITE_[A-Z]+/.exec(code)?.[0]
  return (primary === undefined ? byErrno[code] : bySqliteCode[primary]) ?? null
}

/** Whether SQLite says that the bytes of the file are not those of a sound database. */
export function saysCorrupt(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error) ?? '')
}

/** Whether SQLite would have to play back a journal first, which a handle for reading cannot do. */
export function saysRollbackNeeded(error: unknown): boolean {
  return codeOf(error) === 'SQLITE_READONLY_ROLLBACK'
}

/** The error that a storage failure is reported as; any other thrown value is handed back as it is. */
export function toStorageError(error: unknown, path: string): unknown {
  const failure = classifyStorageFailure(error)
  if (failure === null) return error
  return new MeshError(failure.code, { detail: `${failure.detail}: ${path}`, cause: error })
}

function codeOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null
  return typeof error.code === 'string' ? error.code : null
}
