/**
 * The database goes away at a commit of the broker's store, before it or behind it: it crashes, or the connection does. Before
 * the commit nothing has changed, behind it all of it has; the store finds the database again by itself, and whoever asks
 * again is answered as if nothing had happened.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { examineBroker } from '../../apps/broker/src/doctor.ts'
import { PostgresStore } from '../../apps/broker/src/store/postgres/postgres-store.ts'
import { openPostgres } from '../conformance/engines.ts'
import { openWithMembers } from '../conformance/scenario.ts'
import { ask } from '../support/postgres.ts'
import { makeClusterDirectory, PostgresCluster } from '../support/postgres-cluster.ts'
import { openProxy } from '../support/postgres-proxy.ts'
import { dump, operations, run } from './store-operations.ts'

/** The others lose their connection only: a crash and its recovery take seconds. */
const crashed: readonly string[] = ['accept', 'settle', 'leave']

/** An accept says so of each message, and the others throw. */
const failed = { kind: 'failed', error: { code: 'storage_unavailable' } }

describe('a database that goes away at a commit', () => {
  const directory = makeClusterDirectory({ crashes: true })
  let cluster: PostgresCluster | undefined
  const stops = { crash: 0, cut: 0 }

  beforeAll(async () => {
    cluster = await PostgresCluster.start({ directory, durable: true })
  }, 120_000)
  afterAll(async () => {
    await PostgresCluster.removeAt(directory)
    console.log(`databases that went away at a commit: ${stops.crash} crashed, ${stops.cut} connections cut`)
  }, 60_000)

  async function crash(): Promise<void> {
    await cluster?.crash()
    await cluster?.restart()
  }

  for (const { name, prepare, again } of operations) {
    const kind = crashed.includes(name) ? 'crash' : 'cut'
    test(`${name} (${kind}): it has happened or not, and is answered when it is asked again`, {
      timeout: 180_000,
    }, async () => {
      const databaseUrl = await newDatabase(cluster?.url ?? '', name)
      const scene = await openWithMembers(() => openPostgres(databaseUrl))
      const { engine } = scene
      const call = await prepare(scene)
      const before = await dump(engine)
      const proxy = await openProxy(databaseUrl)
      const store = await PostgresStore.open({ url: proxy.url, runtime: engine.clock })
      onTestFinished(() => store.close())

      for (const moment of ['before', 'behind'] as const) {
        const broken = proxy.breakNextCommit({ moment, meanwhile: kind === 'crash' ? crash : async () => undefined })
        const refused = await run(store, call).catch((error: unknown) => [{ kind: 'failed', error }])
        expect(refused, `${moment} the commit`).toMatchObject([failed])
        await broken
        stops[kind] += 1
        if (moment === 'before') expect(await dump(engine), 'nothing has happened').toEqual(before)
        else expect(await dump(engine), 'it has happened').not.toEqual(before)
      }
      const answer = await run(store, call)
      if (again === null || typeof again !== 'object') expect(answer).toEqual(again)
      else expect(answer).toMatchObject(again)
      expect((await examineBroker(engine.database)).findings).toEqual([])
    })
  }
})

async function newDatabase(server: string, operation: string): Promise<string> {
  const name = operation.replaceAll(/\W/g, '_')
  await ask(server, `CREATE DATABASE ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
