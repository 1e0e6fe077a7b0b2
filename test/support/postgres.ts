/** Databases for tests: each test gets its own, with the tables already in it. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { inject, onTestFinished } from 'vitest'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
import { PostgresStore } from '../../apps/broker/src/store/postgres/postgres-store.ts'
import { eventually } from './eventually.ts'
import { clusterUrl, PostgresCluster } from './postgres-cluster.ts'

let ready: Promise<Server> | null = null

/** A server in which databases may be made, and the name of one that others are copied from. */
interface Server {
  readonly url: string
  readonly template: string
}

/** Databases of this worker that no test is using, with all tables and no rows. They go when the run ends. */
const spare: string[] = []
let made = 0

/** A database with all tables and no rows, until the test ends. @returns its URL */
export async function freshDatabase(): Promise<string> {
  ready ??= prepareServer()
  const { url: server, template } = await ready
  const name = spare.pop() ?? (await createDatabase(server, `TEMPLATE ${template} STRATEGY FILE_COPY`))
  const url = databaseUrl(server, name)
  onTestFinished(async () => {
    await ask(url, emptied)
    spare.push(name)
  })
  return url
}

/** A new database with nothing in it, not even tables. @returns its URL */
export async function emptyDatabase(): Promise<string> {
  const server = await findServer()
  return databaseUrl(server, await createDatabase(server, ''))
}

/** @returns its name */
async function createDatabase(server: string, how: string): Promise<string> {
  made += 1
  const name = `${inject('databasePrefix')}_${process.pid}_${made}`
  await ask(server, `CREATE DATABASE ${name} ${how}`)
  return name
}

/**
 * Ends what is left of a test, and makes its database as good as new. A table refers to older ones only, and to delete its
 * few rows costs a fifth of truncating it.
 */
const emptied = `
  DO $$
  DECLARE
    each record;
  BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR each IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP
      EXECUTE format('DROP FUNCTION %s CASCADE', each.name);
    END LOOP;
    FOR each IN SELECT oid::regclass AS name, pg_relation_size(oid) > 1000000 AS is_large FROM pg_class
                 WHERE relnamespace = 'mesh'::regnamespace AND relkind = 'r' AND relname <> 'schema_migration'
                   AND pg_relation_size(oid) > 0
                 ORDER BY oid DESC LOOP
      IF each.is_large THEN EXECUTE format('TRUNCATE %s CASCADE', each.name);
      ELSE EXECUTE format('DELETE FROM %s', each.name);
      END IF;
    END LOOP;
  END $$`

/** One statement on a connection of its own. */
export async function ask<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(sql, [...values])).rows
  } finally {
    await client.end()
  }
}

/** The copied database is made once for each schema, whoever comes first. */
async function prepareServer(): Promise<Server> {
  const url = await findServer()
  const template = `claudemesh_template_${digestSchema()}`
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [template])
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [template])
    if (rowCount === 0) {
      await client.query(`DROP DATABASE IF EXISTS ${template}_begun`)
      await client.query(`CREATE DATABASE ${template}_begun`)
      const store = await PostgresStore.open({ url: databaseUrl(url, `${template}_begun`), runtime: systemRuntime() })
      await store.close()
      await client.query(`ALTER DATABASE ${template}_begun RENAME TO ${template}`)
    }
  } finally {
    await client.end()
  }
  return { url, template }
}

function digestSchema(): string {
  const directory = new URL('../../apps/broker/src/store/postgres/schema/', import.meta.url)
  const digest = createHash('sha256')
  for (const name of readdirSync(directory).toSorted()) digest.update(readFileSync(new URL(name, directory)))
  return digest.digest('hex').slice(0, 16)
}

async function findServer(): Promise<string> {
  const given = process.env['CLAUDEMESH_TEST_DATABASE_URL']
  if (given !== undefined && given !== '') return given
  const directory = inject('clusterDirectory')
  const begun = join(directory, 'begun')
  const done = join(directory, 'done')
  const failed = join(directory, 'failed')
  if (begin(begun)) {
    await PostgresCluster.start({ directory, durable: false }).then(
      () => writeFileSync(done, ''),
      (error: unknown) => {
        writeFileSync(failed, '')
        throw error
      },
    )
  }
  await eventually(
    'another worker has started PostgreSQL',
    () => {
      if (existsSync(failed)) throw new Error('another worker could not start PostgreSQL')
      return existsSync(done)
    },
    { withinMs: 120_000 },
  )
  return clusterUrl(directory)
}

/** @returns whether nobody was here before */
function begin(mark: string): boolean {
  try {
    mkdirSync(mark)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
