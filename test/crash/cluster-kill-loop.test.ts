/**
 * Three members send to each other and to a topic over two brokers on one PostgreSQL, while any process is killed at any
 * moment, connections break, the database crashes, and sends are repeated. At the end every acknowledged message is with
 * each of its recipients, once, and what a sender sent to one destination is in the order in which it was accepted.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestBroker, TestMesh } from '../support/mesh.ts'
import { Balancer, launchNode, type Node } from '../support/nodes.ts'
import { makeClusterDirectory, PostgresCluster } from '../support/postgres-cluster.ts'
import { seeded } from '../support/seed.ts'
import { type KeyedSend, sendUntilAcknowledged } from '../support/traffic.ts'

const names = ['alice', 'bob', 'carol'] as const
const disturbances = 16
/** The database crashes once, after so many others. */
const disturbancesBefore = 4
/** After which no further process is killed, however slow the machine is. */
const killMsMax = 40_000
const sendersPerMember = 2
const random = seeded()

/** Two brokers that look like one. */
class TwoBrokers extends TestBroker {
  readonly #databaseUrl: string
  readonly #balancer: Balancer
  readonly #nodes: Node[] = []

  constructor(databaseUrl: string, balancer: Balancer) {
    super('', balancer.port)
    this.#databaseUrl = databaseUrl
    this.#balancer = balancer
  }

  override async start(): Promise<void> {
    for (let place = 0; place < 2; place += 1) await this.#launch(place)
  }

  override async kill(): Promise<void> {
    await Promise.all(this.#nodes.map(({ process }) => process.kill()))
  }

  async replace(place: number): Promise<void> {
    await this.#nodes[place]?.process.kill()
    await this.#launch(place)
  }

  async #launch(place: number): Promise<void> {
    const env = {
      CLAUDEMESH_BROKER_PUBLIC_URLS: this.#balancer.url,
      CLAUDEMESH_BROKER_LEASE_MS: '3000',
      CLAUDEMESH_BROKER_NODE_HEARTBEAT_MS: '500',
      CLAUDEMESH_BROKER_NODE_DEAD_MS: '3000',
    }
    const port = this.#balancer.targets[place] ?? 0
    const node = await launchNode({ databaseUrl: this.#databaseUrl, port, env })
    this.#nodes[place] = node
    this.#balancer.targets[place] = node.port
  }
}

let directory: string
let cluster: PostgresCluster
let balancer: Balancer
let brokers: TwoBrokers
let mesh: TestMesh
beforeAll(async () => {
  directory = makeClusterDirectory()
  cluster = await PostgresCluster.start({ directory, durable: true })
  balancer = await Balancer.open()
  brokers = new TwoBrokers(cluster.url, balancer)
  mesh = await TestMesh.start(names, { broker: brokers })
  for (const member of mesh.members) member.cli(['topic', 'subscribe', 'all'])
}, 120_000)
afterAll(async () => {
  await mesh.end()
  balancer.close()
  await PostgresCluster.removeAt(directory)
}, 60_000)

test(`random kills of daemons, brokers and their database lose nothing and double nothing (seed ${random.seed})`, async () => {
  const expected = new Map<string, string[]>(names.map((name) => [name, []]))
  let running = true
  let acknowledged = 0
  let repeats = 0

  const traffic = names.flatMap((name) =>
    Array.from({ length: sendersPerMember }, async (_, sender) => {
      const others = names.filter((other) => other !== name)
      for (let n = 0; running; n += 1) {
        const key = `${name}/${sender}/${n}`
        const toTopic = isPost(n)
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

  const done: string[] = []
  const startedAt = performance.now()
  while (done.length < disturbances && performance.now() - startedAt < killMsMax) {
    await pause(150 + random.next() * 450)
    const what =
      done.length === disturbancesBefore
        ? 'database'
        : random.pick(['node 0', 'node 1', 'node 0', 'node 1', 'cut', ...names])
    done.push(what)
    await disturb(what)
  }
  expect(done, 'the database has crashed').toContain('database')
  running = false
  await Promise.all(traffic)

  for (const member of mesh.members) await member.drained()
  for (const name of names) {
    const wanted = [...(expected.get(name) ?? [])].sort()
    const messages = await mesh.member(name).inboxOf(wanted.length)
    const arrived = messages.map((message) => message.client_message_id)
    const what = `inbox of ${name}, seed ${random.seed}, disturbed by ${done.join(', ')}`
    expect([...arrived].sort(), what).toEqual(wanted)
    expectOrder(arrived, what)
  }
  console.log(
    `${done.join(', ')}: acknowledged ${acknowledged}, repeated ${repeats}, in inboxes ${[...expected.values()].flat().length}, seed ${random.seed}`,
  )
}, 240_000)

/** Of each sender, its dms and its posts: the two are different destinations, one of which may have to wait. */
function expectOrder(arrived: readonly string[], what: string): void {
  const numbers = new Map<string, number[]>()
  for (const key of arrived) {
    const [name, sender, n] = key.split('/')
    const stream = `${name}/${sender} to ${isPost(Number(n)) ? 'the topic' : 'the member'}`
    numbers.set(stream, [...(numbers.get(stream) ?? []), Number(n)])
  }
  for (const [stream, list] of numbers) {
    expect(list, `order of ${stream} in the ${what}`).toEqual(list.toSorted((left, right) => left - right))
  }
}

/** Every fifth message of a sender goes to the topic. */
function isPost(n: number): boolean {
  return n % 5 === 4
}

async function disturb(what: string): Promise<void> {
  if (what === 'database') {
    await cluster.crash()
    await cluster.restart()
  } else if (what === 'cut') {
    balancer.cut()
  } else if (what.startsWith('node')) {
    await brokers.replace(Number(what.at(-1)))
  } else {
    await mesh.member(what).kill()
    await mesh.member(what).start()
  }
}
