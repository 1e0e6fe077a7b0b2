/**
 * Three members send to each other and to a topic through a network that fails in every way that a network can. At the end
 * every acknowledged message is with each of its recipients, once and in order.
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { FaultProxy, faults } from '../support/fault-proxy.ts'
import { MemberTraffic } from '../support/member-traffic.ts'
import { findFreePort, TestBroker, TestMesh } from '../support/mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'

/** How often the network goes through all of its faults. */
const rounds = Number(process.env.CLAUDEMESH_TEST_STORM_ROUNDS ?? 2)
const sendersPerMember = 3
const random = seeded()

/** A broker that is reached through the network alone. */
class DistantBroker extends TestBroker {
  readonly #itself: TestBroker
  readonly #url: string

  constructor(data: string, proxy: FaultProxy) {
    super(data, proxy.port)
    this.#itself = new TestBroker(data, proxy.brokerPort)
    this.#url = proxy.url
  }

  override start(): Promise<void> {
    return this.#itself.start({ env: { CLAUDEMESH_BROKER_PUBLIC_URLS: this.#url } })
  }

  override kill(): Promise<void> {
    return this.#itself.kill()
  }
}

test(`a network that fails in every way loses nothing and doubles nothing (seed ${random.seed})`, async () => {
  const proxy = await FaultProxy.open({ brokerPort: await findFreePort(), random })
  onTestFinished(() => proxy.close())
  const broker = new DistantBroker(join(scratchDirectory(), 'broker'), proxy)
  const mesh = await TestMesh.start(['alice', 'bob', 'carol'], { broker })
  onTestFinished(() => mesh.end())

  const traffic = new MemberTraffic(mesh, { sendersPerMember })
  for (let round = 0; round < rounds; round += 1) {
    for (const fault of shuffled(faults)) {
      proxy.strike(fault)
      await pause(100 + random.next() * 300)
      proxy.calm()
      // Something gets through between two faults, however slow the machine is.
      await passes(proxy, proxy.frames)
    }
  }
  await traffic.stop()

  const inInboxes = await traffic.expectDelivered(`seed ${random.seed}`)
  expect(proxy.doubled, 'messages passed twice').toBeGreaterThan(0)
  console.log(
    `storm: ${[...proxy.struck].map(([fault, times]) => `${fault} ${times}`).join(', ')}; connections ${proxy.connections}, ` +
      `frames ${proxy.frames}, of them twice ${proxy.doubled}; acknowledged ${traffic.acknowledged}, ` +
      `repeated ${traffic.repeats}, in inboxes ${inInboxes}, seed ${random.seed}`,
  )
}, 300_000)

function passes(proxy: FaultProxy, framesBefore: number): Promise<true> {
  return eventually('something passes the network again', () => proxy.frames > framesBefore, { withinMs: 60_000 })
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, place: random.next() }))
    .sort((left, right) => left.place - right.place)
    .map(({ item }) => item)
}
