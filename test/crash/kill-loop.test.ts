/**
 * Three members send to each other and to a topic while any process is killed at any moment and sends are repeated. At the
 * end every acknowledged message is with each of its recipients, once.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { seeded } from '../support/seed.ts'
import { type KeyedSend, sendUntilAcknowledged } from '../support/traffic.ts'

const names = ['alice', 'bob', 'carol'] as const
const kills = 16
const sendersPerMember = 3
const random = seeded()

let mesh: TestMesh
beforeAll(async () => {
  mesh = await TestMesh.start(names)
  for (const member of mesh.members) member.cli(['topic', 'subscribe', 'all'])
}, 60_000)
afterAll(() => mesh.end())

test(`random kills lose nothing and double nothing (seed ${random.seed})`, async () => {
  const expected = new Map<string, string[]>(names.map((name) => [name, []]))
  let running = true
  let acknowledged = 0
  let repeats = 0

  const traffic = names.flatMap((name) =>
    Array.from({ length: sendersPerMember }, async (_, sender) => {
      const others = names.filter((other) => other !== name)
      for (let n = 0; running; n += 1) {
        const key = `${name}/${sender}/${n}`
        const toTopic = n % 5 === 4
        const to = toTopic ? '#all' : `@${others[n % 2]}`
        const body: KeyedSend = { to, message: `message ${key}`, client_message_id: key }
        const first = await sendUntilAcknowledged(mesh.member(name), body)
        if (n % 7 === 0) {
          repeats += 1
          expect(await sendUntilAcknowledged(mesh.member(name), body)).toBe(first)
        }
        acknowledged += 1
        for (const recipient of toTopic ? others : [others[n % 2]]) expected.get(recipient ?? '')?.push(key)
      }
    }),
  )

  const killed: string[] = []
  while (killed.length < kills) {
    await pause(150 + random.next() * 450)
    const victim = random.pick(['broker', ...names])
    const target = victim === 'broker' ? mesh.broker : mesh.member(victim)
    await target.kill()
    killed.push(victim)
    await target.start()
  }
  running = false
  await Promise.all(traffic)

  for (const member of mesh.members) await member.drained()
  for (const name of names) {
    const wanted = [...(expected.get(name) ?? [])].sort()
    const messages = await mesh.member(name).inboxOf(wanted.length)
    const arrived = messages.map((message) => message.client_message_id).sort()
    expect(arrived, `inbox of ${name}, seed ${random.seed}, killed ${killed.join(' ')}`).toEqual(wanted)
  }
  console.log(`kills ${killed.length}, acknowledged ${acknowledged}, repeated ${repeats}, seed ${random.seed}`)
}, 180_000)
