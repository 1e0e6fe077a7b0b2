/**
 * Three members send to each other and to a topic over two brokers on one PostgreSQL, while any process is killed at any
 * moment, each time under a network that fails in another way, the database crashes, and sends are repeated. At the end every
 * acknowledged message is with each of its recipients, once, and what a sender sent to one destination is in the order in
 * which it was accepted.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { type Fault, FaultProxy, faults } from '../support/fault-proxy.ts'
import { MemberTraffic } from '../support/member-traffic.ts'
import { TestBroker, TestMesh } from '../support/mesh.ts'
import { Balancer, launchNode, type Node } from '../support/nodes.ts'
import { makeClusterDirectory, PostgresCluster } from '../support/postgres-cluster.ts'
import { seeded } from '../support/seed.ts'

const names = ['alice', 'bob', 'carol'] as const
const asked = process.env['CLAUDEMESH_TEST_CLUSTER_DISTURBANCES']
const disturbances = Number(asked ?? 10)
/** The database crashes with each of so many. */
const databaseEvery = 8
/** After which there is no further disturbance, however slow the machine is, unless a number was asked for. */
const disturbedMsMax = asked === undefined ? 12_000 : Number.POSITIVE_INFINITY
const sendersPerMember = 2
const random = seeded()

/** Two brokers behind a balancer that look like one. */
class TwoBrokers extends TestBroker {
  readonly #databaseUrl: string
  readonly #balancer: Balancer
  readonly #nodes: Node[] = []

  /** @param o.port where members reach the balancer */
  constructor(o: { readonly databaseUrl: string; readonly balancer: Balancer; readonly port: number }) {
    super('', o.port)
    this.#databaseUrl = o.databaseUrl
    this.#balancer = o.balancer
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
      CLAUDEMESH_BROKER_PUBLIC_URLS: this.url,
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

test(`random kills of daemons, brokers and their database, and a bad network, lose nothing and double nothing (seed ${random.seed})`, {
  timeout: 240_000 + disturbances * 5_000,
}, async () => {
  const { cluster, brokers, network, mesh } = await startAll()
  const disturb: Readonly<Record<string, () => Promise<void>>> = {
    'node 0': () => brokers.replace(0),
    'node 1': () => brokers.replace(1),
    network: () => pause(random.next() * 300),
    async database() {
      await cluster.crash()
      await cluster.restart()
    },
    ...Object.fromEntries(mesh.members.map((member) => [member.name, () => member.start()])),
  }

  const traffic = new MemberTraffic(mesh, { sendersPerMember })
  const done: string[] = []
  const startedAt = performance.now()
  const isOver = () => done.length >= disturbances || performance.now() - startedAt > disturbedMsMax
  while (!isOver() || !done.includes('database')) {
    await pause(100 + random.next() * 400)
    const isTurnOfDatabase = done.length % databaseEvery === databaseEvery / 2
    const what = isTurnOfDatabase ? 'database' : random.pick(['node 0', 'node 1', 'network', ...names])
    done.push(what)
    network.strike(rarestOf(network))
    await disturb[what]?.()
    network.calm()
  }
  await traffic.stop()

  const struck = [...network.struck].filter(([, times]) => times > 0).map(([fault, times]) => `${fault} ${times}`)
  const inInboxes = await traffic.expectDelivered(`seed ${random.seed}, disturbed by ${done.join(', ')}`)
  expect(traffic.repeats).toBeGreaterThan(0)
  console.log(
    `${done.join(', ')}; network: ${struck.join(', ')}, passed twice ${network.doubled}; acknowledged ` +
      `${traffic.acknowledged}, repeated ${traffic.repeats}, in inboxes ${inInboxes}, seed ${random.seed}`,
  )
})

/** Everything that is started goes with the test, also when the rest could not be. */
async function startAll() {
  const directory = makeClusterDirectory({ crashes: true })
  onTestFinished(() => PostgresCluster.removeAt(directory))
  const cluster = await PostgresCluster.start({ directory, durable: true })
  const balancer = await Balancer.open()
  onTestFinished(() => balancer.close())
  const network = await FaultProxy.open({ brokerPort: balancer.port, random })
  onTestFinished(() => network.close())
  const brokers = new TwoBrokers({ databaseUrl: cluster.url, balancer, port: network.port })
  onTestFinished(() => brokers.kill())
  const mesh = await TestMesh.start(names, { broker: brokers })
  onTestFinished(() => mesh.end())
  return { cluster, brokers, network, mesh }
}

/** The faults come in turn, so that a run of any length meets as many kinds as it can. */
function rarestOf(network: FaultProxy): Fault {
  const times = (fault: Fault) => network.struck.get(fault) ?? 0
  const [rarest = 'cut'] = faults.toSorted((one, other) => times(one) - times(other))
  return rarest
}
