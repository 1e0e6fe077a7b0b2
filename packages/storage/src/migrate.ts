/**
 * Numbered forward migrations: `NNN-name.sql` in one directory, from 001 without a gap.
 *
 * 1. Each migration is one transaction that records itself first. Two starters cannot both run one: the second waits
 *    for the lock, reads the version again, and finds it done.
 * 2. A migration that fails or is killed leaves nothing behind.
 * 3. A database that a newer version wrote is refused, untouched.
 * 4. A database that is up to date is only read, so that a start needs no free disk space.
 *
 * There is no way back down: an older version is restored from a backup.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from './crash-point.ts'
import { readSchemaVersion, recordMigration } from './statements.ts'
import { type Database, immediate } from './transaction.ts'

export interface MigrateOptions {
  /** Directory of the migrations, with a slash at its end: `new URL('./schema/', import.meta.url)`. */
  readonly directory: URL
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** One step of a schema. */
export interface Migration {
  readonly version: number
  readonly name: string
  readonly file: URL
}

/**
 * Brings a database to the newest schema of `directory`.
 *
 * @throws MeshError `schema_too_new` when the database is ahead of `directory`
 * @throws MeshError `start_failed` when a migration does not run
 */
export function migrate(db: Database, options: MigrateOptions): void {
  const migrations = listMigrations(options.directory)
  const found = readSchemaVersion(db)
  if (found > migrations.length) {
    throw new MeshError('schema_too_new', {
      detail: `${db.name} has schema ${found}; this version knows schemas up to ${migrations.length}`,
    })
  }
  for (const migration of migrations.slice(found)) apply(db, migration, options.now)
}

/** The version of a database's schema: the number of its last migration, 0 before the first. */
export function schemaVersion(db: Database): number {
  return readSchemaVersion(db)
}

function apply(db: Database, migration: Migration, now: () => number): void {
  const sql = readFileSync(migration.file, 'utf8')
  try {
    immediate(db, () => {
      if (readSchemaVersion(db) >= migration.version) return
      recordMigration(db, { version: migration.version, name: migration.name, appliedAt: now() })
      crashPoint('migration.recorded')
      db.exec(sql)
      if (!db.inTransaction) throw new Error('a migration must not end the transaction it runs in')
      crashPoint('migration.before_commit')
    })
  } catch (error) {
    if (error instanceof MeshError) throw error
    throw new MeshError('start_failed', {
      detail: `migration ${migration.name} of ${db.name} failed: ${error instanceof Error ? error.message : error}`,
      cause: error,
    })
  }
}

/**
 * The migrations of a directory in their order.
 *
 * @throws Error when their numbers have a gap
 */
export function listMigrations(directory: URL): readonly Migration[] {
  const names = readdirSync(directory)
    .filter((name) => name.endsWith('.sql'))
    .sort()
  return names.map((name, index) => {
    const version = Number(/^([0-9]{3})-[a-z0-9-]+\.sql$/.exec(name)?.[1])
    if (version !== index + 1) throw new Error(`${name} breaks the sequence of migrations in ${directory.href}`)
    return { version, name: name.slice(0, -'.sql'.length), file: new URL(name, directory) }
  })
}
