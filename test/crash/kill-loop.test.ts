/**
 * Three members send to each other and to a topic while any process is killed at any moment and sends are repeated. At the
 * end every acknowledged message is with each of its recipients, once and in order.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, test } from 'vitest'
import { MemberTraffic } from '../support/member-traffic.ts'
import { TestMesh } from '../support/mesh.ts'
import { seeded } from '../support/seed.ts'

const names = ['alice', 'bob', 'carol'] as const
const kills = Number(process.env.CLAUDEMESH_TEST_KILLS ?? 6)
const sendersPerMember = 3
const random = seeded()

let mesh: TestMesh
beforeAll(async () => {
  mesh = await TestMesh.start(names)
}, 60_000)
afterAll(() => mesh.end())

test(
  `random kills lose nothing and double nothing (seed ${random.seed})`,
  async () => {
    const traffic = new MemberTraffic(mesh, { sendersPerMember })
    const killed: string[] = []
    while (killed.length < kills) {
      await pause(100 + random.next() * 300)
      const victim = random.pick(['broker', ...names])
      const target = victim === 'broker' ? mesh.broker : mesh.member(victim)
      await target.kill()
      killed.push(victim)
      await target.start()
    }
    await traffic.stop()

    const inInboxes = await traffic.expectDelivered(`seed ${random.seed}, killed ${killed.join(' ')}`)
    console.log(
      `kills ${killed.length}, acknowledged ${traffic.acknowledged}, repeated ${traffic.repeats}, ` +
        `in inboxes ${inInboxes}, seed ${random.seed}`,
    )
  },
  180_000 + kills * 5_000,
)
