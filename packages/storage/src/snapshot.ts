/**
 * A database as bytes, as of one instant, while others write to it. Nothing of it touches the disk: a copy in a
 * temporary file would be one more place where messages stand in plain text.
 */
import { existsSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import { findDamage } from './find-damage.ts'
import { assertPrivateFile } from './private-path.ts'
import { toStorageError } from './storage-error.ts'

const busyWaitMs = 5_000
/** Where the header says how the file is journaled (SQLite file format, 1.3): write version and read version. */
const journalBytes = { start: 18, end: 20 }
const rollbackJournal = 1

/**
 * Everything that was committed when it was called, as a database file without companions.
 *
 * @returns null when there is no such database
 * @throws MeshError `database_corrupt` when what was read is damaged, `unsafe_permissions`, `storage_failed`
 */
export function snapshotDatabase(path: string): Buffer | null {
  if (!existsSync(path)) return null
  assertPrivateFile(path)
  const image = readImage(path)
  // A log belongs to a file on a disk: an image that says it has one can be opened by nobody.
  image.fill(rollbackJournal, journalBytes.start, journalBytes.end)
  assertSound(image, path)
  return image
}

function readImage(path: string): Buffer {
  try {
    const db = new BetterSqlite3(path, { readonly: true, fileMustExist: true, timeout: busyWaitMs })
    try {
      return db.serialize()
    } finally {
      db.close()
    }
  } catch (error) {
    throw toStorageError(error, path)
  }
}

function assertSound(image: Buffer, path: string): void {
  const db = new BetterSqlite3(image)
  try {
    const damage = findDamage(db)
    if (damage !== null) throw new MeshError('database_corrupt', { detail: `${path} is damaged: ${damage}` })
  } finally {
    db.close()
  }
}
