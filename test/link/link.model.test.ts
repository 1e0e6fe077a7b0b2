/**
 * A daemon's link against a model of it: connections that end in every way, frames that make sense and such that do not,
 * messages and calls, in any order. It always comes back, tells its handlers of everything once and in order, and nothing of
 * one connection happens on the next.
 */
import { type BrokerFrame, type DaemonFrame, MeshError } from '@claudemesh/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { brokerFrames } from '../../packages/protocol/src/frames.ts'
import { eventually } from '../support/eventually.ts'
import { type LinkUnderTest, startLink } from '../support/link-under-test.ts'
import { fitting, type JsonSchema } from '../support/schema-faults.ts'
import { ScriptedBroker, type ScriptedConnection } from '../support/scripted-broker.ts'
import { seeded } from '../support/seed.ts'

const runs = Number(process.env.CLAUDEMESH_TEST_MODEL_RUNS ?? 15)
const { seed } = seeded()
const malformedFramesMax = 3
/** After which a daemon comes back at once. */
const endings = [1000, 1006, 1008, 1012, 4001, 4008] as const

interface Model {
  /** What the handlers were told, in order. */
  readonly told: string[]
  malformed: number
  malformedHere: number
  connections: number
  instances: Set<string>
}

interface Real {
  readonly broker: ScriptedBroker
  readonly subject: LinkUnderTest
  connection: ScriptedConnection
}

type Command = fc.AsyncCommand<Model, Real>

function command<P>(name: string, p: P, act: (model: Model, real: Real, p: P) => Promise<void>): Command {
  return {
    check: () => true,
    run: async (model, real) => {
      await act(model, real, p)
      const { link, told } = real.subject
      await eventually(`the handlers were told: ${model.told.at(-1)}`, () => told.length >= model.told.length)
      expect(told).toEqual(model.told)
      expect(link.status()).toMatchObject({ state: 'open', connected: true, malformed_frames: model.malformed })
      expect(real.broker.count).toBe(model.connections)
      expect(model.instances.size).toBe(1)
    },
    toString: () => `${name}(${JSON.stringify(p)})`,
  }
}

/** The connection is over: the link says so, and makes another. */
async function comeBack(model: Model, real: Real): Promise<void> {
  const connection = await real.broker.connection()
  const hello = await connection.accept(real.broker.url)
  model.instances.add(hello.options.instance_id)
  await eventually('the link is open', () => real.subject.link.status().connected)
  real.connection = connection
  model.malformedHere = 0
  model.connections += 1
  model.told.push('closed', 'opened')
}

async function refused(model: Model, real: Real, text: string): Promise<void> {
  model.malformed += 1
  model.malformedHere += 1
  real.connection.sendText(text)
  await eventually('it is counted', () => real.subject.link.status().malformed_frames === model.malformed)
  if (model.malformedHere < malformedFramesMax) return
  expect(await real.connection.closed).toMatchObject({ code: 1008 })
  await comeBack(model, real)
}

const items = (type: 'deliver' | 'send_results' | 'receipts' | 'event', count: number) =>
  ({
    type,
    items: Array(count).fill((fitting(brokerFrames[type] as JsonSchema) as { items: unknown[] }).items[0]),
  }) as BrokerFrame

const commands: fc.Arbitrary<Command>[] = [
  fc.constantFrom(...endings).map((p) =>
    command('the connection ends', p, async (model, real, code) => {
      if (code === 1006) real.connection.socket.terminate()
      else real.connection.socket.close(code)
      await comeBack(model, real)
    }),
  ),
  fc
    .record({
      type: fc.constantFrom('deliver' as const, 'send_results' as const, 'receipts' as const, 'event' as const),
      count: fc.integer({ min: 1, max: 5 }),
    })
    .map((p) =>
      command('the broker says', p, async (model, real, { type, count }) => {
        real.connection.send(items(type, count))
        model.told.push(`${type === 'event' ? 'events' : type} ${count}`)
      }),
    ),
  fc
    .constantFrom('{', 'null', '{"type":"x"}', '{"type":"deliver","items":[]}')
    .map((p) => command('garbage', p, refused)),
  fc
    .constantFrom('challenge' as const, 'welcome' as const, 'feature_negotiation_response' as const)
    .map((p) =>
      command('a frame of the handshake', p, (model, real, type) =>
        refused(model, real, JSON.stringify(fitting(brokerFrames[type] as JsonSchema))),
      ),
    ),
  fc.integer({ min: 1, max: 300 }).map((p) =>
    command('transmit', p, async (_, real, count) => {
      const all = Array.from({ length: count }, (_item, n) => ({ delivery_id: String(n), outcome: 'stored' as const }))
      expect(real.subject.link.acknowledge(all)).toBe(true)
      const arrived: string[] = []
      while (arrived.length < count) {
        const frame = await real.connection.next('deliver_ack')
        arrived.push(...frame.items.map((item) => item.delivery_id))
      }
      expect(arrived).toEqual(all.map((item) => item.delivery_id))
    }),
  ),
  fc.constantFrom('answered', 'refused', 'twice', 'never').map((p) =>
    command('request', p, async (model, real, how) => {
      const call = real.subject.link.request('topics.list', { limit: 1 })
      const outcome = call.then(
        () => 'resolved',
        (error: unknown) => (error instanceof MeshError ? error.code : String(error)),
      )
      const { request_id } = (await real.connection.next('request')) as Extract<DaemonFrame, { type: 'request' }>
      const answer = { type: 'response', request_id, status: 200, result: { topics: [], next: null } } as const
      if (how === 'answered' || how === 'twice') real.connection.send(answer)
      if (how === 'twice') real.connection.send({ ...answer, result: 'something else' })
      if (how === 'refused') {
        real.connection.send({ type: 'response', request_id, status: 429, code: 'rate_limited', detail: 'later' })
      }
      if (how === 'never') {
        real.connection.socket.terminate()
        await comeBack(model, real)
        // An answer that comes on the next connection, before anything is asked there, is nobody's.
        real.connection.send(answer)
        real.connection.send(items('deliver', 1))
        model.told.push('deliver 1')
        await eventually('both have come', () => real.subject.told.length === model.told.length)
      }
      const expected = { answered: 'resolved', twice: 'resolved', refused: 'rate_limited', never: 'broker_unavailable' }
      expect(await outcome).toBe(expected[how as keyof typeof expected])
    }),
  ),
  fc.constant(
    command('renew', null, async (model, real) => {
      real.subject.link.renew()
      expect(await real.connection.closed).toMatchObject({ code: 1000 })
      await comeBack(model, real)
    }),
  ),
]

test('a link is as its model says, whatever happens to it, and ends when it is stopped', async () => {
  let steps = 0
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 25 }), async (run) => {
      const broker = await ScriptedBroker.start()
      const subject = startLink(broker.url)
      try {
        const connection = await broker.connection()
        const hello = await connection.accept(broker.url)
        await eventually('the link is open', () => subject.link.status().connected)
        const real: Real = { broker, subject, connection }
        const instances = new Set([hello.options.instance_id])
        const model: Model = { told: ['opened'], malformed: 0, malformedHere: 0, connections: 1, instances }
        await fc.asyncModelRun(() => ({ model, real }), run)
        steps += broker.count
        await subject.link.stop()
        expect(subject.link.status().state).toBe('stopped')
        expect(subject.told).toEqual([...model.told, 'closed'])
        expect(broker.count).toBe(model.connections)
      } finally {
        await subject.link.stop()
        await broker.stop()
      }
    }),
    { numRuns: runs, seed, endOnFailure: false },
  )
  console.log(`a link against its model: ${runs} runs, ${steps} connections, seed ${seed}`)
}, 120_000)
