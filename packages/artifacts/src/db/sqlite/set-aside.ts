import { existsSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  closeDatabase,
  crashPoint,
  openDatabase,
  openForReading,
  schemaVersion,
  syncDirectory,
} from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import { sqliteMigrations } from './sqlite-database.ts'

/** The number of the last migration of a database, 0 when there is none. */
export function readVersion(path: string): number {
  if (!existsSync(path)) return 0
  const db = openForReading(path)
  try {
    return schemaVersion(db)
  } finally {
    db.close()
  }
}

/**
 * Gives a database another name, by one rename: everything that was committed is in the file by then, so that neither
 * name ever goes with a log of writes that is not its own.
 *
 * @param now milliseconds since the epoch
 * @returns the new name; null: there is no database
 * @throws ArtifactError `busy`: another process has it open; MeshError as `openDatabase`
 */
export function setAside(path: string, now: number): string | null {
  if (!existsSync(path)) return null
  closeDatabase(openDatabase({ path, migrations: sqliteMigrations, now: () => now }))
  // Whoever closes a database last removes its log.
  if (existsSync(`${path}-wal`)) {
    throw new ArtifactError('busy', { detail: 'Another process has the database of the artifacts open.' })
  }
  const target = unusedName(path, now)
  renameSync(path, target)
  syncDirectory(dirname(path))
  crashPoint('artifacts.migrate.set_aside')
  return target
}

function unusedName(path: string, now: number): string {
  for (let time = now; ; time += 1) {
    const name = `${path}.former-${new Date(time).toISOString().replaceAll(/[-:.]/g, '')}`
    if (!existsSync(name)) return name
  }
}
