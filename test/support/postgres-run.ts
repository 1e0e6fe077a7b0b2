/**
 * The cluster that the files of one run share. Here is only its directory: the first test that needs a database starts
 * it (see postgres.ts), and it goes when the run ends, as do the databases that were made on a server of somebody else.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { makeClusterDirectory, PostgresCluster } from './postgres-cluster.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the shared cluster is, or will be. */
    clusterDirectory: string
    /** How the names of this run's databases begin. */
    databasePrefix: string
  }
}

const prefix = `claudemesh_test_${randomBytes(4).toString('hex')}`
let directory: string | null = null

export function setup(project: TestProject): void {
  directory = makeClusterDirectory()
  project.provide('clusterDirectory', directory)
  project.provide('databasePrefix', prefix)
}

export async function teardown(): Promise<void> {
  if (directory !== null) await PostgresCluster.removeAt(directory)
  const given = process.env['CLAUDEMESH_TEST_DATABASE_URL']
  if (given !== undefined && given !== '') await dropDatabases(given)
}

async function dropDatabases(server: string): Promise<void> {
  const client = new pg.Client({ connectionString: server })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(
      'SELECT datname AS name FROM pg_database WHERE starts_with(datname, $1)',
      [prefix],
    )
    for (const { name } of rows) await client.query(`DROP DATABASE ${name} WITH (FORCE)`)
  } finally {
    await client.end()
  }
}
