/** A PostgreSQL server to measure on, with databases that are made for it and go with it. */
import pg from 'pg'
import { clusterUrl, makeClusterDirectory, PostgresCluster } from '../test/support/postgres-cluster.ts'
import { copyDatabase } from './statements.ts'

export interface DatabaseServer {
  /** Makes a database, empty or like another that nobody is connected to. @returns its URL */
  makeDatabase(likeUrl?: string): Promise<string>
  /** With everything that was made in it. */
  close(): Promise<void>
}

/** The server that tests are given, or else a new one whose commits reach the disk. */
export async function openServer(): Promise<DatabaseServer> {
  const given = process.env['CLAUDEMESH_TEST_DATABASE_URL'] ?? ''
  const directory = given === '' ? makeClusterDirectory() : null
  if (directory !== null) await PostgresCluster.start({ directory, durable: true })
  const url = directory === null ? given : clusterUrl(directory)
  const made: string[] = []
  const ask = async (sql: string) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  return {
    async makeDatabase(likeUrl) {
      const name = `claudemesh_bench_${process.pid}_${made.length + 1}`
      made.push(name)
      await ask(copyDatabase.make(name, likeUrl === undefined ? null : new URL(likeUrl).pathname.slice(1)))
      const database = new URL(url)
      database.pathname = `/${name}`
      return database.href
    },
    async close() {
      if (directory !== null) await PostgresCluster.removeAt(directory)
      else for (const name of made) await ask(copyDatabase.drop(name))
    },
  }
}
