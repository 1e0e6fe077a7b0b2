/** The windows of connections over a real store, at a time of the test's own. */
import { join } from 'node:path'
import { verifyChain } from '@claudemesh/identity'
import { type BrokerFrame, createIdSource, wireFingerprint } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { Deliverer, type DeliveryStore, type Target } from '../../apps/broker/src/deliver/deliver.ts'
import { SqliteStore } from '../../apps/broker/src/store/sqlite/sqlite-store.ts'
import type { Store } from '../../apps/broker/src/store/store.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const leaseMs = 30_000
const sealed = Buffer.alloc(64 * 1024)
/** As many messages of that size as fill 7.5 of the 8 MiB that a window has. */
const nearlyFull = 120

test('a delivery that is pushed again counts once, however late it is acknowledged', async () => {
  const { deliverer, connect, send, advance } = await openDeliverer()
  const bob = connect()
  for (let round = 0; round < 4; round += 1) {
    await send(nearlyFull)
    await bob.holds(nearlyFull)
    advance(leaseMs)
    // Something else wakes the lane between the end of the leases and the next look for them.
    deliverer.wake(bob.target)
    await bob.holds(2 * nearlyFull)
    await bob.acknowledgeAll()
    expect(deliverer.unacknowledged).toBe(0)
  }
  advance(leaseMs)
  deliverer.watch()
  expect(bob.closed()).toBeNull()
})

test('what a connection claims while it goes away is free when it has gone', async () => {
  let open: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const { deliverer, connect, send } = await openDeliverer((store) => ({
    claim: async (request) => {
      // The first connection's claim reaches the database only when the connection is gone already.
      if (request.connectionId === 'connection-1') await gate
      return store.claim(request)
    },
    acknowledge: (...of) => store.acknowledge(...of),
    releaseClaims: async (...of) => {
      await store.releaseClaims(...of)
    },
  }))
  await send(3)
  const gone = connect()
  const detached = deliverer.detach(gone.target)
  open()
  await detached
  const next = connect()
  await next.holds(3)
})

async function openDeliverer(through: (store: Store) => DeliveryStore = (store) => store) {
  let offset = 0
  const now = () => Date.now() + offset
  const runtime = { now, monotonicMs: () => offset, nextId: createIdSource(now) }
  const store = SqliteStore.open({ path: join(scratchDirectory(), 'broker.db'), runtime })
  onTestFinished(() => store.close())
  const { founder } = new RawMesh()
  const { mesh, chain } = founder
  const verdict = verifyChain({ mesh, chain, now: now() })
  if (!verdict.ok) throw new Error(verdict.reason)
  const about = { hostFingerprint: null, ephemeralTtlMs: null, mayRegister: true, at: now() }
  await store.admit({ ...verdict.member, mesh, chain, ...about })
  const member = { meshId: mesh.mesh_id, memberId: founder.memberId }
  const report = (error: unknown) => {
    throw error
  }
  const wakeElsewhere = () => undefined
  const options = { store: through(store), runtime, leaseMs, slowConsumerMs: leaseMs, wakeElsewhere, report }
  const deliverer = new Deliverer(options)
  let connections = 0
  return {
    deliverer,
    advance: (ms: number) => {
      offset += ms
    },
    async send(count: number): Promise<void> {
      const destination = { kind: 'dm', ref: member.memberId } as const
      const fingerprint = wireFingerprint({ destination, replyToId: null, priority: 'next', sealed })
      const outcomes = await store.acceptBatch(
        Array.from({ length: count }, () => ({
          meshId: member.meshId,
          sender: member.memberId,
          clientMessageId: runtime.nextId(),
          fingerprint,
          destination,
          replyTo: null,
          priority: 'next',
          recipientsEpoch: null,
          mentions: [],
          receipts: false,
          sealed,
          brokerMessageId: runtime.nextId(),
          acceptedAt: now(),
          dedupeExpiresAt: null,
        })),
      )
      expect(outcomes.every(({ kind }) => kind === 'stored')).toBe(true)
      deliverer.wake(member)
    },
    connect() {
      connections += 1
      const connection = new Connection({ ...member, connectionId: `connection-${connections}` }, deliverer)
      deliverer.attach(connection.target)
      return connection
    },
  }
}

/** A connection that keeps what it is sent, and whose network takes everything. */
class Connection {
  readonly target: Target
  readonly #deliverer: Deliverer
  #held: string[] = []
  #closed: string | null = null

  constructor(key: Pick<Target, 'meshId' | 'memberId' | 'connectionId'>, deliverer: Deliverer) {
    this.#deliverer = deliverer
    this.target = {
      ...key,
      outgoingBytes: 0,
      send: (frame, written) => {
        this.#take(frame)
        written?.()
      },
      close: (name) => {
        this.#closed = name
      },
    }
  }

  closed(): string | null {
    return this.#closed
  }

  /** Waits until the broker has nothing more to do, and looks. */
  async holds(count: number): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(this.#held).toHaveLength(count)
  }

  /** Acknowledges everything, in the order in which it came. */
  async acknowledgeAll(): Promise<void> {
    const items = this.#held.map((id) => ({ delivery_id: id, outcome: 'stored' }) as const)
    this.#held = []
    await this.#deliverer.acknowledge(this.target, items)
  }

  #take(frame: BrokerFrame): void {
    if (frame.type === 'deliver') this.#held.push(...frame.items.map((item) => item.delivery_id))
  }
}
