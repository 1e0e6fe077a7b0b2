/**
 * The daemon as it is shipped, against a broker whose frames are faulty in every way that the protocol's schemas tell of
 * (all of them are tried on a link in test/link; here a choice). It stays, keeps what it has, and goes on when it is spoken
 * to properly.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { meshFilePath, type OutboxDetail } from '@claudemesh/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokerFrames } from '../../packages/protocol/src/frames.ts'
import { eventually } from '../support/eventually.ts'
import { meshSlug, type TestMember, type TestMesh } from '../support/mesh.ts'
import { openDescriptors, residentBytes } from '../support/process-figures.ts'
import { faults, type JsonSchema } from '../support/schema-faults.ts'
import { brokerLimits, type ScriptedBroker, type ScriptedConnection } from '../support/scripted-broker.ts'
import { startScriptedMesh } from '../support/scripted-directory.ts'
import { sample, seeded } from '../support/seed.ts'

/** Frames of a wrong form before the daemon leaves a connection. */
const perConnection = 3
const connections = Number(process.env.CLAUDEMESH_TEST_HOSTILE_CONNECTIONS ?? 12)
const { seed } = seeded()

let mesh: TestMesh
let alice: TestMember
let bobId: string
let broker: ScriptedBroker

beforeAll(async () => {
  ;({ mesh, broker, alice, bobId } = await startScriptedMesh())
  await alice.start()
}, 60_000)

afterAll(async () => {
  await broker.stop()
  await mesh.end()
})

test('a daemon outlives faulty frames, loses nothing to them and keeps nothing of them', async () => {
  let connection = await broker.accepted()
  await sendAndSettle(connection, 'before')
  const files = digests()
  const { pid } = alice.running

  const types = ['send_results', 'deliver', 'receipts', 'response', 'event'] as const
  const all = types
    .flatMap((type) => [...faults(brokerFrames[type] as JsonSchema)])
    .filter(({ value }) => JSON.stringify(value).length < brokerLimits.max_frame)
  const chosen = sample(all, connections * perConnection, seed)
  let figures: { readonly resident: number; readonly descriptors: number | null } | null = null
  expect(await alice.send({ to: bobId, message: 'amid', client_message_id: 'amid' })).toMatchObject({ status: 202 })
  for (let first = 0; first < chosen.length; first += perConnection) {
    await connection.next('send')
    // An answer to nothing, in good form: a broker that was of use is come back to soon.
    answer(connection, 'never-sent', 1)
    for (const { value } of chosen.slice(first, first + perConnection)) connection.sendText(JSON.stringify(value))
    expect(await connection.closed).toMatchObject({ code: 1008 })
    connection = await broker.accepted()
    figures ??= { resident: residentBytes(pid), descriptors: openDescriptors(pid) }
  }
  await connection.next('send')
  answer(connection, 'amid', 2)
  await settled('amid')
  await sendAndSettle(connection, 'after')

  expect(alice.running.ending).toBeNull()
  expect(digests()).toEqual(files)
  const { inbox, outbox } = (await alice.health()) ?? {}
  expect({ inbox, outbox }).toMatchObject({
    inbox: { messages: 0 },
    outbox: { pending: 0, inflight: 0, done: 3, dead: 0 },
  })
  const grown = residentBytes(pid) - (figures?.resident ?? 0)
  console.log(`hostile frames to a daemon: ${chosen.length}, seed ${seed}; ${Math.round(grown / 1024 / 1024)} MiB more`)
  expect(grown).toBeLessThan(48 * 1024 * 1024)
  const descriptors = figures?.descriptors ?? null
  if (descriptors !== null) {
    await eventually('its connections are gone', () => (openDescriptors(pid) ?? 0) <= descriptors + 1)
  }
}, 120_000)

function digests(): readonly string[] {
  const files = [alice.paths.keypair, alice.paths.localToken, meshFilePath(alice.home, meshSlug)]
  return files.map((path) => createHash('sha256').update(readFileSync(path)).digest('hex'))
}

async function sendAndSettle(connection: ScriptedConnection, key: string): Promise<void> {
  expect(await alice.send({ to: bobId, message: key, client_message_id: key })).toMatchObject({ status: 202 })
  await connection.next('send')
  answer(connection, key, 9)
  await settled(key)
}

async function settled(key: string): Promise<void> {
  await eventually(`${key} is done`, async () => {
    const { row } = (await alice.request({ method: 'GET', path: `/v1/outbox/${key}` })).json as OutboxDetail
    return row.status === 'done'
  })
}

function answer(connection: ScriptedConnection, key: string, n: number): void {
  const broker_message_id = `01JZZZZZZZZZZZZZZZZZZZZZ0${n}`
  const result = { client_message_id: key, status: 201, broker_message_id, history_id: String(n), recipient_count: 1 }
  connection.send({ type: 'send_results', items: [{ ...result, status: 201 }] })
}
