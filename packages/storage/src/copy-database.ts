/** A database as a file of its own, as of one instant, while another process writes to it. */
import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import { syncDirectory } from './atomic-file.ts'
import { findDamage } from './find-damage.ts'
import { assertPrivateFile } from './private-path.ts'
import { toStorageError } from './storage-error.ts'

const busyWaitMs = 5_000

/**
 * Writes everything that was committed when it began to a new file, which is there, whole and durable, when this returns.
 * Whoever writes meanwhile is not held up; their log grows until the copy is done. Killed in between it leaves a file
 * whose name begins with a dot and ends with `.tmp`.
 *
 * @param to a path at which nothing is; its directory exists
 * @throws MeshError `invalid_request` when something is there, `not_found` when there is no database, `database_corrupt`,
 *   `unsafe_permissions`, `insufficient_storage`, `storage_failed`
 */
export function copyDatabase(path: string, to: string): void {
  if (!existsSync(path)) throw new MeshError('not_found', { detail: `there is no database ${path}` })
  assertPrivateFile(path)
  if (existsSync(to)) {
    throw new MeshError('invalid_request', {
      detail: `${to} is there already`,
      hint: 'Name a file that is not there yet.',
    })
  }
  const temporary = join(dirname(to), `.${basename(to)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    copy(path, temporary)
    renameSync(temporary, to)
    syncDirectory(dirname(to))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw toStorageError(error, path)
  }
}

function copy(path: string, temporary: string): void {
  // Nobody else may read it while it is being written.
  closeSync(openSync(temporary, 'wx', 0o600))
  const db = new BetterSqlite3(path, { readonly: true, fileMustExist: true, timeout: busyWaitMs })
  try {
    db.prepare('VACUUM INTO ?').run(temporary)
  } finally {
    db.close()
  }
  chmodSync(temporary, 0o600)
  assertSound(temporary)
  const descriptor = openSync(temporary, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** A copy that cannot be used is found out today, not on the day when it is needed. */
function assertSound(temporary: string): void {
  const db = new BetterSqlite3(temporary, { readonly: true })
  try {
    const damage = findDamage(db)
    if (damage !== null) throw new MeshError('database_corrupt', { detail: `the copy is damaged: ${damage}` })
  } finally {
    db.close()
  }
}
