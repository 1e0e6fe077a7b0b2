/**
 * The broker is away for a day of everybody's clock, and one daemon is killed meanwhile: what is sent each hour is taken,
 * the daemon says how long it has waited, and when the broker is back all of it arrives, once and in order.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { TestMesh } from '../support/mesh.ts'
import { ShiftedClock } from '../support/shifted-clock.ts'
import { sendUntilAcknowledged } from '../support/traffic.ts'

const hourMs = 3_600_000
const hours = 24
const names = ['alice', 'bob'] as const

let mesh: TestMesh
let clock: ShiftedClock

beforeAll(async () => {
  mesh = await TestMesh.start(names, { startMembers: false })
  clock = new ShiftedClock(mesh.directory, 'everybody')
  await Promise.all([mesh.broker, ...mesh.members].map(start))
  await Promise.all(mesh.members.map((member) => member.knows(names)))
}, 60_000)
afterAll(() => mesh.end())

const start = (part: { start: TestMesh['broker']['start'] }) => part.start({ env: clock.environment })

test('a day without a broker costs no message, and is told of', async () => {
  const [alice, bob] = names.map((name) => mesh.member(name)) as [TestMesh['members'][0], TestMesh['members'][0]]
  const expected = { alice: [] as string[], bob: [] as string[] }
  await mesh.broker.kill()
  for (let hour = 1; hour <= hours; hour += 1) {
    for (const [from, to] of [[alice, 'bob'] as const, [bob, 'alice'] as const]) {
      const key = `${from.name}-${hour}`
      await sendUntilAcknowledged(from, { to: `@${to}`, message: key, client_message_id: key })
      expected[to].push(key)
    }
    if (hour === hours / 2) await alice.kill()
    clock.shift(hour * hourMs, bob.running)
    if (hour === hours / 2) await start(alice)
    else alice.running.signal('SIGUSR2')
    await eventually('both clocks have gone on', async () =>
      (await Promise.all([alice, bob].map((member) => oldestWaitsMs(member)))).every(
        (ms) => ms > (hour - 0.5) * hourMs,
      ),
    )
  }
  const health = await alice.health()
  expect(health?.link.connected).toBe(false)
  expect(health?.outbox.pending).toBe(hours)

  await start(mesh.broker)
  for (const member of [alice, bob]) {
    const arrived = await member.inboxOf(hours)
    expect(arrived.map((message) => message.client_message_id)).toEqual(expected[member.name as 'alice' | 'bob'])
  }
  await eventually('nothing waits any more', async () => (await oldestWaitsMs(alice)) === 0)
})

async function oldestWaitsMs(member: TestMesh['members'][0]): Promise<number> {
  return (await member.health())?.outbox.oldest_pending_age_ms ?? 0
}
