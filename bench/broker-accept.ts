/** The broker accepting frames from many members, against inserting the same five rows a message and nothing else. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort, TestBroker } from '../test/support/mesh.ts'
import { openBareBroker } from './bare-broker.ts'
import type { Benchmark, Contest, Sample } from './benchmark.ts'
import { type BrokerLoadJob, LoadGenerator } from './load.ts'

export const brokerAccept: Benchmark = {
  name: 'broker-accept',
  limit: 'better-sqlite3 alone commits the same five rows a message, as many at a time as frames can wait together',
  figures: [
    {
      name: 'broker-accept',
      about:
        '32 connections, 16 messages a frame / better-sqlite3 alone, five rows a message, 512 messages a commit, FULL',
      target: { atLeast: 0.5 },
    },
  ],
  prepare,
}

const connections = 32
const items = 16
const sliceMs = 1_000

async function prepare(): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-'))
  const broker = new TestBroker(join(directory, 'broker'), await findFreePort())
  // What one member may send a second is a setting; here it must not be the limit.
  await broker.start({
    env: { CLAUDEMESH_BROKER_RATE_MEMBER_PER_SECOND: '1000000', CLAUDEMESH_BROKER_RATE_MESH_PER_SECOND: '1000000' },
  })
  const load = await LoadGenerator.start<BrokerLoadJob>('broker-load', [
    `${broker.url}/v1/ws`,
    String(connections),
    String(items),
  ])
  await load.run({ ms: 1 })
  const bare = openBareBroker(directory, join(broker.data, 'broker.db'))
  const insertAlone = (): Sample => {
    const started = performance.now()
    let messages = 0
    // All frames that wait together share one commit, at most one of each connection.
    for (; performance.now() - started < sliceMs; messages += connections * items) bare.commit(connections * items)
    return { 'broker-accept': (messages * 1000) / (performance.now() - started) }
  }
  return {
    subject: async () => ({ 'broker-accept': (await load.run({ ms: sliceMs })).perSecond }),
    limit: insertAlone,
    notes: () => [load.note()],
    close: async () => {
      load.close()
      bare.close()
      await broker.kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
