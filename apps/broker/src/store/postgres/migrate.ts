/**
 * Brings a database to the newest schema of `schema/`.
 *
 * 1. All that is missing is applied in one transaction, under a lock: of several nodes that start at once one does it, and
 *    the others find it done.
 * 2. A database that a newer version wrote, or a server that is too old, is refused, untouched.
 * 3. A database that is up to date is only read: the broker's own user needs no right to make tables.
 */
import { readFileSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { listMigrations, type Migration } from '@claudemesh/storage'
import pg from 'pg'
import { databaseConnectMsMax } from '../../limits.ts'
import { toStorageError } from './failure.ts'
import { boundaries, migration as sql } from './statements.ts'

const serverVersionMin = 15

/**
 * @throws MeshError `schema_too_new`, `start_failed` for a server that is too old or a migration that does not run,
 *   `storage_unavailable`
 */
export async function migrate(options: {
  readonly url: string
  /** With a slash at its end. */
  readonly directory: URL
  /** Milliseconds since the epoch. */
  readonly now: () => number
}): Promise<void> {
  const migrations = listMigrations(options.directory)
  const client = new pg.Client({
    connectionString: options.url,
    application_name: 'claudemesh-broker',
    connectionTimeoutMillis: databaseConnectMsMax,
  })
  let connected = true
  client.on('error', () => {
    connected = false
  })
  try {
    await client.connect().catch((error) => {
      connected = false
      throw error
    })
    await assertServer(client)
    if ((await findSchemaVersion(client, migrations)) < migrations.length) {
      await applyMissing(client, migrations, options.now)
    }
  } catch (error) {
    throw toStorageError(error, { connected })
  } finally {
    await client.end()
  }
}

async function assertServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number; encoding: string }>(sql.serverVersion)
  const { version = 0, encoding = '' } = rows[0] ?? {}
  if (version < serverVersionMin * 10_000) {
    throw new MeshError('start_failed', {
      detail: `the database server is PostgreSQL ${Math.floor(version / 10_000)}; the broker needs ${serverVersionMin} or later`,
      hint: `Use a server of version ${serverVersionMin} or later.`,
    })
  }
  if (encoding !== 'UTF8') {
    throw new MeshError('start_failed', {
      detail: `the database has the encoding ${encoding}; the broker needs UTF8`,
      hint: 'Create the database with ENCODING UTF8.',
    })
  }
}

/** @returns the number of the last migration, 0 before the first */
async function findSchemaVersion(client: pg.Client, migrations: readonly Migration[]): Promise<number> {
  const { rows: tables } = await client.query<{ recorded: boolean }>(sql.isRecorded)
  if (tables[0]?.recorded !== true) return 0
  const { rows } = await client.query<{ version: number }>(sql.schemaVersion)
  const found = rows[0]?.version ?? 0
  if (found > migrations.length) {
    throw new MeshError('schema_too_new', {
      detail: `the database has schema ${found}; this version knows schemas up to ${migrations.length}`,
    })
  }
  return found
}

async function applyMissing(client: pg.Client, migrations: readonly Migration[], now: () => number): Promise<void> {
  await client.query(boundaries.begin)
  await client.query(sql.lock)
  await client.query(sql.prepare)
  const found = await findSchemaVersion(client, migrations)
  for (const { version, name, file } of migrations.slice(found)) {
    try {
      await client.query(sql.record, [version, name, now()])
      await client.query(readFileSync(file, 'utf8'))
    } catch (error) {
      throw new MeshError('start_failed', {
        detail: `migration ${name} of the database failed: ${error instanceof Error ? error.message : error}`,
        cause: error,
      })
    }
  }
  await client.query(boundaries.commit)
}
