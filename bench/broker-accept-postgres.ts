/** The broker accepting frames over PostgreSQL, against pgbench inserting the same rows with nothing around them. */
import { eventually } from '../test/support/eventually.ts'
import { ManagedProcess } from '../test/support/managed-process.ts'
import { findProgram } from '../test/support/postgres-cluster.ts'
import type { Benchmark, Contest } from './benchmark.ts'
import { type BrokerLoadJob, LoadGenerator } from './load.ts'
import { Pgbench } from './pgbench.ts'
import { openServer } from './postgres-server.ts'

export const brokerAcceptPostgres: Benchmark = {
  name: 'broker-accept-postgres',
  limit:
    'pgbench inserts the same five rows a message on the server, as many at a time, from rows that are there already',
  figures: [
    {
      name: 'broker-accept-postgres',
      about: '32 connections, 16 messages a frame / pgbench, one client, five rows a message, 512 messages a commit',
      target: { atLeast: 0.5 },
    },
  ],
  prepare,
}

const connections = 32
const items = 16
const sliceMs = 1_000

async function prepare(): Promise<Contest> {
  const program = findProgram('pgbench')
  if (program === null)
    throw new Error('there is no pgbench here: it comes with PostgreSQL (apt-get install postgresql)')
  const server = await openServer()
  const database = await server.makeDatabase()
  const nodes: ManagedProcess[] = []
  const generators: LoadGenerator<BrokerLoadJob>[] = []
  const startLoad = async () => {
    const { node, url } = await startNode(database)
    nodes.push(node)
    const load = await LoadGenerator.start<BrokerLoadJob>('broker-load', [url, String(connections), String(items)])
    generators.push(load)
    await load.run({ ms: 1 })
    return { node, load }
  }
  const close = async () => {
    for (const load of generators) load.close()
    for (const node of nodes) await node.kill()
    await server.close()
  }
  try {
    const first = await startLoad()
    first.load.close()
    await first.node.kill()
    const bare = await Pgbench.open({ program, url: await server.makeDatabase(database), batch: connections * items })
    const { load } = await startLoad()
    return {
      subject: async () => ({ 'broker-accept-postgres': (await load.run({ ms: sliceMs })).perSecond }),
      limit: async () => ({ 'broker-accept-postgres': await bare.rowsPerSecond(sliceMs) }),
      notes: () => [load.note()],
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function startNode(databaseUrl: string): Promise<{ readonly node: ManagedProcess; readonly url: string }> {
  const node = new ManagedProcess(['broker', 'start', '--host', '127.0.0.1', '--port', '0'], {
    CLAUDEMESH_BROKER_DATABASE_URL: databaseUrl,
    CLAUDEMESH_BROKER_LOG_LEVEL: 'warn',
    CLAUDEMESH_BROKER_RATE_MEMBER_PER_SECOND: '1000000',
    CLAUDEMESH_BROKER_RATE_MESH_PER_SECOND: '1000000',
  })
  const url = await eventually('the broker listens', () => {
    if (node.ending !== null) throw new Error(`the broker ended: ${node.output}`)
    return /broker listening on (\S+)\n/.exec(node.output)?.[1]
  })
  return { node, url }
}
