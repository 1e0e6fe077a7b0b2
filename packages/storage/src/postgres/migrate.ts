/**
 * Brings a schema of a database to the newest version of a directory of migrations.
 *
 * 1. All that is missing is applied in one transaction, under a lock: of several nodes that start at once one does it, and
 *    the others find it done.
 * 2. A database that a newer version wrote, or a server that is too old, is refused, untouched.
 * 3. A database that is up to date is only read: a user who may make no tables can use it.
 */
import { readFileSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import pg from 'pg'
import { crashPoint } from '../crash-point.ts'
import { listMigrations, type Migration } from '../migrate.ts'
import { toDatabaseError } from './failure.ts'
import { prepare, type Session } from './session.ts'
import { boundaries, migrationOf, type PostgresSchema } from './statements.ts'

const serverVersionMin = 15

type Sql = ReturnType<typeof migrationOf>

/**
 * @throws MeshError `schema_too_new`, `start_failed` for a server that is too old or a migration that does not run,
 *   `storage_unavailable`
 */
export async function migratePostgres(options: {
  readonly url: string
  readonly applicationName: string
  readonly connectMsMax: number
  readonly schema: PostgresSchema
  /** With a slash at its end. */
  readonly directory: URL
  /** Milliseconds since the epoch. */
  readonly now: () => number
}): Promise<void> {
  const migrations = listMigrations(options.directory)
  const sql = migrationOf(options.schema)
  const client = new pg.Client({
    connectionString: options.url,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectMsMax,
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
    await assertServer(client, sql)
    if ((await findSchemaVersion(client, sql, migrations)) < migrations.length) {
      await applyMissing(client, { sql, migrations, now: options.now })
    }
  } catch (error) {
    throw toDatabaseError(error, { connected })
  } finally {
    await client.end()
  }
}

async function assertServer(client: pg.Client, sql: Sql): Promise<void> {
  const { rows } = await client.query<{ version: number; encoding: string }>(sql.serverVersion)
  const { version = 0, encoding = '' } = rows[0] ?? {}
  if (version < serverVersionMin * 10_000) {
    throw new MeshError('start_failed', {
      detail: `the database server is PostgreSQL ${Math.floor(version / 10_000)}; ${serverVersionMin} or later is needed`,
      hint: `Use a server of version ${serverVersionMin} or later.`,
    })
  }
  if (encoding !== 'UTF8') {
    throw new MeshError('start_failed', {
      detail: `the database has the encoding ${encoding}; UTF8 is needed`,
      hint: 'Create the database with ENCODING UTF8.',
    })
  }
}

/** @returns the number of the last migration, 0 before the first */
async function findSchemaVersion(client: pg.Client, sql: Sql, migrations: readonly Migration[]): Promise<number> {
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

async function applyMissing(
  client: pg.Client,
  {
    sql,
    migrations,
    now,
  }: { readonly sql: Sql; readonly migrations: readonly Migration[]; readonly now: () => number },
): Promise<void> {
  await client.query(boundaries.begin)
  await client.query(sql.lock)
  await client.query(sql.prepare)
  const found = await findSchemaVersion(client, sql, migrations)
  for (const { version, name, file } of migrations.slice(found)) {
    try {
      await client.query(sql.record, [version, name, now()])
      crashPoint('postgres.migration.recorded')
      await client.query(readFileSync(file, 'utf8'))
    } catch (error) {
      throw new MeshError('start_failed', {
        detail: `migration ${name} of the database failed: ${error instanceof Error ? error.message : error}`,
        cause: error,
      })
    }
  }
  crashPoint('postgres.migration.before_commit')
  await client.query(boundaries.commit)
}

/** The number of the last migration of a schema, 0 before the first. */
export async function readSchemaVersion(session: Session, schema: PostgresSchema): Promise<number> {
  const sql = migrationOf(schema)
  const [tables] = await session.query<{ recorded: boolean }>(prepare(sql.isRecorded))
  if (tables?.recorded !== true) return 0
  const [row] = await session.query<{ version: number }>(prepare(sql.schemaVersion))
  return row?.version ?? 0
}
