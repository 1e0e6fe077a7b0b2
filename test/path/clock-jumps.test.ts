/**
 * Wall clocks that jump, forwards and backwards, by hours and by years, while daemons and broker run and while they do not.
 * What was acknowledged arrives, once and in order; nobody turns in circles; nothing is deleted for it.
 */
import type { OutboxDetail, OutboxList } from '@claudemesh/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { TestMesh } from '../support/mesh.ts'
import { processorMs } from '../support/process-figures.ts'
import { createRandom, seeded } from '../support/seed.ts'
import { ShiftedClock } from '../support/shifted-clock.ts'
import { sendUntilAcknowledged } from '../support/traffic.ts'

const hourMs = 3_600_000
const yearMs = 365 * 24 * hourMs
/** For which a row waits at most where ids are remembered for 30 days. */
const maxAgeMs = 648 * hourMs
const names = ['alice', 'bob'] as const
type Name = (typeof names)[number] | 'broker'
const parts = ['broker', ...names] as const
/** Jumps beyond the ones that are always made. */
const furtherJumps = Number(process.env.CLAUDEMESH_TEST_CLOCK_JUMPS ?? 2)
const { seed } = seeded()

let mesh: TestMesh
const clocks = new Map<Name, ShiftedClock>()
/** By member: the keys of what the others sent to it, in order. */
const expected = new Map<string, string[]>(names.map((name) => [name, []]))
const ids = new Map<string, string[]>()
let jumps = 0
let sent = 0

beforeAll(async () => {
  mesh = await TestMesh.start(names, { startMembers: false })
  for (const part of parts) clocks.set(part, new ShiftedClock(mesh.directory, part))
  for (const part of parts) await start(part)
  await Promise.all(mesh.members.map((member) => member.knows(names)))
  // To all of them the mesh was founded long ago: clocks can go back without going behind its certificates.
  for (const part of parts) {
    clockOf(part).shift(10 * yearMs, null)
    await start(part)
  }
}, 60_000)
afterAll(async () => {
  console.log(`clock jumps ${jumps}, messages ${sent}, seed ${seed}`)
  await mesh.end()
})

const clockOf = (name: Name) => clocks.get(name) as ShiftedClock
const partOf = (name: Name) => (name === 'broker' ? mesh.broker : mesh.member(name))

function start(name: Name): Promise<void> {
  return partOf(name).start({ env: { ...clockOf(name).environment, CLAUDEMESH_BROKER_JOB_INTERVAL_MS: '200' } })
}

async function clockIsAt(name: Name, offsetMs: number): Promise<boolean> {
  const body = { client: 'test' }
  const { json } = await mesh.member(name).request({ method: 'POST', path: '/v1/heartbeat', body })
  return Math.abs((json as { now: number }).now - Date.now() - offsetMs) < hourMs / 2
}

/** Sends both ways, in order. */
async function exchange(messages: number): Promise<void> {
  for (let n = 0; n < messages; n += 1) {
    for (const [from, to] of [names, [...names].reverse()] as const) {
      sent += 1
      const key = `${from}/${sent}`
      const id = await sendUntilAcknowledged(mesh.member(from as string), {
        to: `@${to}`,
        message: key,
        client_message_id: key,
      })
      ids.set(from as string, [...(ids.get(from as string) ?? []), id])
      expected.get(to as string)?.push(key)
    }
  }
}

async function expectDelivered(what: string): Promise<void> {
  for (const [name, keys] of expected) {
    const member = mesh.member(name)
    const found = await member.inboxOf(keys.length).catch((error: unknown) => String(error))
    const arrived =
      typeof found === 'string' ? [found, ...(await unsettled())] : found.map((each) => each.client_message_id)
    expect([what, name, arrived]).toEqual([what, name, keys])
  }
}

/** What has not been accepted by the broker, and why: for whoever reads of a failure. */
async function unsettled(): Promise<readonly string[]> {
  const lists = await Promise.all(mesh.members.map((member) => member.request({ method: 'GET', path: '/v1/outbox' })))
  return lists
    .flatMap(({ json }) => (json as OutboxList).rows)
    .filter((row) => row.status !== 'done')
    .map((row) => `${row.client_message_id} ${row.status} ${row.last_error}`)
}

/** After a jump nobody is busy: less than half of a processor in a while in which there is nothing to do. */
async function expectRest(what: string): Promise<void> {
  await eventually(`everybody is at rest ${what}`, async () => {
    const before = parts.map((name) => processorMs(partOf(name).running.pid))
    const begun = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 300))
    const elapsed = performance.now() - begun
    return parts.every((name, n) => processorMs(partOf(name).running.pid) - (before[n] ?? 0) < elapsed / 2)
  })
}

/** Nothing is old because a clock says so for a while. */
async function expectNothingExpired(what: string): Promise<void> {
  const metrics = await (await fetch(`http://127.0.0.1:${mesh.broker.port}/metrics`)).text()
  const rows = [...metrics.matchAll(/^cm_broker_expired_rows_total\{.*\} [1-9].*$/gm)].map(([line]) => line)
  expect([what, rows]).toEqual([what, []])
}

async function jump(name: Name, byMs: number, how: 'running' | 'restarted'): Promise<void> {
  jumps += 1
  const clock = clockOf(name)
  const offsetMs = clock.offsetMs + byMs
  const what = `after ${name} jumped by ${byMs / hourMs} h, ${how}`
  if (how === 'restarted') {
    await exchange(1)
    if (byMs >= maxAgeMs) await Promise.all(mesh.members.map((member) => member.drained()))
    await partOf(name).kill()
    clock.shift(offsetMs, null)
    await start(name)
  } else {
    // What is under way goes on, unless it is older than a message may be from one moment to the next.
    const underWay = byMs < maxAgeMs ? exchange(2) : null
    clock.shift(offsetMs, partOf(name).running)
    if (name !== 'broker') await eventually('its clock has jumped', async () => await clockIsAt(name, offsetMs))
    await underWay
  }
  await exchange(2)
  await expectDelivered(what)
  await expectRest(what)
  await expectNothingExpired(what)
}

const sequences = {
  running: [3 * hourMs, -6 * hourMs, 2 * yearMs + 3 * hourMs, -4 * yearMs, 2 * yearMs],
  // And back: what is accepted while a clock is wrong vouches for it to the process that starts next.
  restarted: [2 * yearMs, -2 * yearMs],
} as const

for (const how of ['running', 'restarted'] as const) {
  for (const name of parts) {
    test(`the clock of ${name} may jump when it is ${how}`, async () => {
      for (const byMs of sequences[how]) await jump(name, byMs, how)
    }, 180_000)
  }
}

test('all clocks may jump, in any order', async () => {
  const random = createRandom(seed)
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
  for (let n = 0; n < furtherJumps; n += 1) {
    const name = pick(parts)
    const target = 10 * yearMs + pick([hourMs, 24 * hourMs, yearMs]) * random() * 2
    await jump(name, Math.round(target) - clockOf(name).offsetMs, 'running')
  }
  // Ids of a host ascend, whatever its clock does while it runs.
  for (const [name, found] of ids) expect([name, new Set(found).size]).toEqual([name, found.length])
}, 180_000)

test('what waits when a clock leaps beyond its greatest age is dead, says so, and can be sent again', async () => {
  const alice = mesh.member('alice')
  const clock = clockOf('alice')
  const running = () => partOf('alice').running
  await mesh.broker.kill()
  const keys = ['leap/1', 'leap/2', 'leap/3']
  for (const key of keys) await sendUntilAcknowledged(alice, { to: '@bob', message: key, client_message_id: key })
  clock.shift(clock.offsetMs + 2 * yearMs, running())
  await eventually('its clock has jumped', () => clockIsAt('alice', clock.offsetMs))
  await start('broker')
  const rows = await eventually('all of them are dead', async () => {
    const found = await Promise.all(
      keys.map((key) => alice.request({ method: 'GET', path: `/v1/outbox/${encodeURIComponent(key)}` })),
    )
    const list = found.map(({ json }) => (json as OutboxDetail).row)
    return list.every((row) => row.status === 'dead') ? list : null
  })
  expect(rows.map((row) => row.last_error)).toEqual(keys.map(() => expect.stringMatching(/^max_age_exceeded/)))
  clock.shift(clock.offsetMs - 2 * yearMs, running())
  for (const { id, client_message_id } of rows) {
    const path = `/v1/outbox/${id}/requeue`
    const body = { new_client_id: `${client_message_id}-again` }
    expect(await alice.request({ method: 'POST', path, body })).toMatchObject({ status: 200 })
    expected.get('bob')?.push(`${client_message_id}-again`)
  }
  await expectDelivered('after they were requeued')
}, 60_000)
