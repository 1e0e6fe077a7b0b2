/**
 * The embedded store against a model of it: accepting, fan-out, claiming, acknowledging, leases that end, connections that
 * go, and restarts, in any order. After each step what is claimed, known and left is what the model says.
 */
import type { Destination } from '@claudemesh/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import { seeded } from '../support/seed.ts'
import { type Engine, engines } from './engines.ts'
import { acknowledge, countAll, makeItem, openWithMembers, subscribe } from './scenario.ts'

const leaseMs = 30_000
const runs = Number(process.env.CLAUDEMESH_TEST_MODEL_RUNS ?? 25)
const { seed } = seeded()

const names = ['alice', 'bob', 'carol'] as const
type Name = (typeof names)[number]

interface Waiting {
  readonly text: string
  readonly sender: Name
  /** Given by the store when it is first claimed. */
  deliveryId: number | null
  lease: { readonly connection: string; readonly until: number } | null
}

class Model {
  /** By sender and id: what is known of it. */
  readonly accepted = new Map<string, { readonly brokerMessageId: string; readonly historyId: number }>()
  readonly subscribers = new Set<Name>()
  isTopic = false
  readonly queues: Readonly<Record<Name, Waiting[]>> = { alice: [], bob: [], carol: [] }
}

interface Real {
  readonly engine: Engine
  readonly people: Readonly<Record<Name, MemberKey>>
}

type Command = fc.AsyncCommand<Model, Real>

function command<P>(name: string, p: P, act: (model: Model, real: Real, p: P) => Promise<void>): Command {
  return {
    check: () => true,
    run: async (model, real) => {
      await act(model, real, p)
      const known = model.accepted.size
      const waiting = names.reduce((sum, each) => sum + model.queues[each].length, 0)
      const tables = ['client_message_dedupe', 'topic_message', 'message_history', 'delivery_queue'] as const
      expect(await countAll(real.engine, tables)).toEqual([known, known, known, waiting])
    },
    toString: () => `${name}(${JSON.stringify(p)})`,
  }
}

interface Send {
  readonly from: Name
  readonly to: Name | 'stranger' | 'topic' | 'nowhere'
  readonly id: number
}

async function accept(model: Model, { engine, people }: Real, sends: readonly Send[]): Promise<void> {
  const destinationOf = ({ to }: Send): Destination => {
    if (to === 'topic' || to === 'nowhere') return { kind: 'topic', ref: to }
    return { kind: 'dm', ref: to === 'stranger' ? 'f'.repeat(64) : people[to].memberId }
  }
  const items = sends.map((send) =>
    makeItem(engine, people[send.from], destinationOf(send), {
      id: `id-${send.id}`,
      text: `${send.from} ${send.id}`,
      receipts: false,
    }),
  )
  const outcomes = await engine.store.acceptBatch(items)
  for (const [index, send] of sends.entries()) {
    const outcome = outcomes[index]
    const key = `${send.from}/${send.id}`
    const known = model.accepted.get(key)
    if (known !== undefined) {
      expect([key, outcome]).toMatchObject([key, { kind: 'known', accepted: known }])
    } else if (send.to === 'stranger' || send.to === 'nowhere' || (send.to === 'topic' && !model.isTopic)) {
      expect([key, outcome?.kind]).toEqual([key, send.to === 'stranger' ? 'recipient_unknown' : 'topic_unknown'])
    } else {
      const historyId = model.accepted.size + 1
      expect([key, outcome]).toMatchObject([key, { kind: 'stored', historyId }])
      model.accepted.set(key, { brokerMessageId: items[index]?.brokerMessageId ?? '', historyId })
      const recipients = send.to === 'topic' ? [...model.subscribers].filter((name) => name !== send.from) : [send.to]
      for (const name of recipients) {
        model.queues[name].push({ text: `${send.from} ${send.id}`, sender: send.from, deliveryId: null, lease: null })
      }
    }
  }
}

async function claim(
  model: Model,
  { engine, people }: Real,
  { by, connection, itemsMax }: { readonly by: Name; readonly connection: string; readonly itemsMax: number },
): Promise<void> {
  const monotonicMs = engine.clock.monotonicMs()
  for (const waiting of model.queues[by]) {
    if (waiting.lease !== null && waiting.lease.until <= monotonicMs) waiting.lease = null
  }
  const connectionId = `${by} ${connection}`
  const expected = model.queues[by].filter(({ lease }) => lease === null).slice(0, itemsMax)
  const { deliveries } = await engine.store.claim({
    ...people[by],
    connectionId,
    leaseMs,
    itemsMax,
    bytesMax: 1_000_000,
  })
  expect(deliveries.map(({ message }) => [message.sender, message.sealed.toString()])).toEqual(
    expected.map(({ sender, text }) => [people[sender].memberId, text]),
  )
  for (const [index, waiting] of expected.entries()) {
    const deliveryId = deliveries[index]?.deliveryId ?? 0
    // A delivery that comes again is the same delivery.
    if (waiting.deliveryId !== null) expect(deliveryId).toBe(waiting.deliveryId)
    waiting.deliveryId = deliveryId
    waiting.lease = { connection: connectionId, until: monotonicMs + leaseMs }
  }
}

/** Acknowledges some of what was ever claimed, whoever holds it now, and something that never was. */
async function confirm(
  model: Model,
  { engine, people }: Real,
  { by, picks }: { readonly by: Name; readonly picks: readonly number[] },
) {
  const queue = model.queues[by]
  const claimed = queue.filter(({ deliveryId }) => deliveryId !== null)
  const chosen = [...new Set(picks.flatMap((pick) => claimed[pick % Math.max(1, claimed.length)] ?? []))]
  const others = names.filter((name) => name !== by).flatMap((name) => model.queues[name])
  const foreign = others.flatMap(({ deliveryId }) =>
    queue.some((own) => own.deliveryId === deliveryId) ? [] : (deliveryId ?? []),
  )
  await acknowledge(engine, people[by], [...chosen.map(({ deliveryId }) => deliveryId ?? 0), ...foreign, 999_999])
  queue.splice(0, queue.length, ...queue.filter((waiting) => !chosen.includes(waiting)))
}

const name = fc.constantFrom(...names)
const connection = fc.constantFrom('one', 'two')
const commands: fc.Arbitrary<Command>[] = [
  fc
    .array(
      fc.record({
        from: name,
        to: fc.constantFrom(...names, 'stranger' as const, 'topic' as const, 'nowhere' as const),
        id: fc.nat(15),
      }),
      { minLength: 1, maxLength: 6 },
    )
    .map((p) => command('accept', p, accept)),
  fc.record({ by: name, connection, itemsMax: fc.integer({ min: 1, max: 5 }) }).map((p) => command('claim', p, claim)),
  fc.record({ by: name, picks: fc.array(fc.nat(20), { maxLength: 4 }) }).map((p) => command('acknowledge', p, confirm)),
  fc.record({ by: name, subscribed: fc.boolean() }).map((p) =>
    command('subscribe', p, async (model, { engine, people }, { by, subscribed }) => {
      if (!subscribed && !model.isTopic) return
      if (subscribed) await subscribe(engine, people[by], 'topic')
      else await engine.store.subscribe(people[by], { topic: 'topic', subscribed, at: engine.clock.now() })
      model.isTopic = true
      if (subscribed) model.subscribers.add(by)
      else model.subscribers.delete(by)
    }),
  ),
  fc.record({ by: name, connection }).map((p) =>
    command('a connection ends', p, async (model, { engine, people }, { by, connection: which }) => {
      const connectionId = `${by} ${which}`
      await engine.store.releaseClaims(people[by], connectionId)
      for (const waiting of model.queues[by]) if (waiting.lease?.connection === connectionId) waiting.lease = null
    }),
  ),
  fc
    .constantFrom(1_000, leaseMs + 1_000)
    .map((p) => command('time passes', p, async (_, { engine }, ms) => engine.clock.advance(ms))),
  fc.constant(
    command('restart', null, async (model, { engine }) => {
      await engine.restart()
      for (const waiting of names.flatMap((each) => model.queues[each])) waiting.lease = null
    }),
  ),
]

test('accepting and delivering are as their model says, in any order, with restarts in between', async () => {
  const open = engines.find((engine) => engine.name === 'SQLite')?.open
  if (open === undefined) throw new Error('there is an embedded engine')
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 40 }), async (run) => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      const real: Real = { engine, people: { alice, bob, carol } }
      const model = new Model()
      await fc.asyncModelRun(() => ({ model, real }), run)
      // What is left comes when everybody asks, once each, and then nothing.
      engine.clock.advance(leaseMs + 1)
      for (const by of names) {
        await claim(model, real, { by, connection: 'last', itemsMax: 1_000 })
        await confirm(model, real, { by, picks: model.queues[by].map((_, index) => index) })
        expect(model.queues[by]).toEqual([])
      }
      expect(await engine.count('delivery_queue')).toBe(0)
    }),
    { numRuns: runs, seed, endOnFailure: false },
  )
  console.log(`accepting and delivering against their model: ${runs} runs, seed ${seed}`)
}, 120_000)
