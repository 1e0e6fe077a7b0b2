/** Events of the store of artifacts over PostgreSQL, from many writers, against rows with a number and nothing around them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRegistry } from '@claudemesh/artifacts'
import pg from 'pg'
import type { Benchmark, Contest, Sample } from '../benchmark.ts'
import { openServer } from '../postgres-server.ts'
import { numberedRows } from '../statements.ts'
import { followP99 } from './following.ts'

const writers = 16
const eventsOfWriter = 50

export const artifactWriters: Benchmark = {
  name: 'artifact-writers',
  limit: 'as many connections, each inserting one row with a number of a sequence in each transaction; a millisecond',
  rounds: 3,
  figures: [
    {
      name: 'P7 many writers',
      about: '16 writers of one event each time, PostgreSQL / 16 connections of one row each time',
      target: { atLeast: 0.25 },
    },
    {
      name: 'P9 commit to follower, PostgreSQL',
      about: '99th percentile from the commit to a follower of another store over the same server',
      target: { atMost: 50 },
      unit: 'ms',
    },
  ],
  prepare,
}

async function prepare(): Promise<Contest> {
  const server = await openServer()
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const place = { databaseUrl: await server.makeDatabase(), storageRoot: join(directory, 'objects') }
  const registry = await openRegistry(place)
  const other = await openRegistry(place)
  const bare = await server.makeDatabase()
  const clients = await Promise.all(Array.from({ length: writers }, () => connect(bare)))
  await clients[0]?.query(numberedRows.make)
  const draft = { name: 'bench', producer: 'bench', retentionClass: 'transient', actor: 'local' }
  const { packageId } = await registry.createPackage(draft)
  const packages = await Promise.all(Array.from({ length: writers }, () => registry.createPackage(draft)))
  const because = { actor: 'local', reason: 'bench' }
  return {
    subject: async (): Promise<Sample> => ({
      'P7 many writers': await perSecond(packages, async ({ packageId }) => {
        for (let index = 0; index < eventsOfWriter; index += 2) {
          const holdId = await registry.applyHold(packageId, because)
          await registry.releaseHold(holdId, because)
        }
      }),
      'P9 commit to follower, PostgreSQL': await followP99(other, { writer: registry, packageId }),
    }),
    limit: async (): Promise<Sample> => ({
      'P7 many writers': await perSecond(clients, async (client) => {
        for (let index = 0; index < eventsOfWriter; index += 1) await client.query(numberedRows.insert)
      }),
      'P9 commit to follower, PostgreSQL': 1,
    }),
    close: async () => {
      await other.close()
      await registry.close()
      for (const client of clients) await client.end()
      await server.close()
      rmSync(directory, { recursive: true })
    },
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

/** How many of what each writer does `eventsOfWriter` times happens in a second. */
async function perSecond<Writer>(all: readonly Writer[], write: (writer: Writer) => Promise<void>): Promise<number> {
  const started = performance.now()
  await Promise.all(all.map(write))
  return (all.length * eventsOfWriter * 1000) / (performance.now() - started)
}
