/**
 * Every frame of a broker, and every result of a call, as the protocol's own schemas say, with the faults that they can
 * tell of, in the state that takes it; and bytes that are no WebSocket. A daemon's link counts what makes no sense, leaves
 * the connection after the third, and makes another.
 */
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { brokerFrames } from '../../packages/protocol/src/frames.ts'
import { findResultFault, type Operation, operations } from '../../packages/protocol/src/requests.ts'
import { eventually } from '../support/eventually.ts'
import { type LinkUnderTest, startLink } from '../support/link-under-test.ts'
import { faults, fitting, type JsonSchema } from '../support/schema-faults.ts'
import { brokerLimits, ScriptedBroker, type ScriptedConnection } from '../support/scripted-broker.ts'
import { sample, seeded } from '../support/seed.ts'
import { encodeFrame } from '../support/websocket-frames.ts'

type FrameType = keyof typeof brokerFrames
const malformedFramesMax = 3
/** Faults of each frame, and of results of calls, that travel: a choice that differs with the seed. */
const faultsSent = Number(process.env.CLAUDEMESH_TEST_HOSTILE_FRAMES ?? 60)
const { seed } = seeded()
const counts = new Map<string, number>()

afterAll(() => {
  const listed = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')
  console.log(`hostile frames to a link, seed ${seed}: ${listed}`)
})

function count(kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1)
}

async function start(): Promise<{ broker: ScriptedBroker } & LinkUnderTest> {
  const broker = await ScriptedBroker.start()
  onTestFinished(() => broker.stop())
  return { broker, ...startLink(broker.url) }
}

/** A connection of the link at the point of the handshake where it takes frames of a type. */
async function connectionFor(type: FrameType, broker: ScriptedBroker): Promise<ScriptedConnection> {
  if (type !== 'challenge' && type !== 'welcome' && type !== 'feature_negotiation_response') return broker.accepted()
  const connection = await broker.connection()
  if (type === 'challenge') return connection
  await connection.greet(broker.url)
  if (type === 'welcome') return connection
  connection.send({ type: 'welcome', connection_id: 'c1', limits: brokerLimits })
  await connection.next('feature_negotiation_request')
  return connection
}

describe('a frame', () => {
  for (const type of Object.keys(brokerFrames) as FrameType[]) {
    test(`${type} with any single fault is counted, the third ends the connection, and the link comes back`, async () => {
      const { broker, link, told } = await start()
      const all = [...faults(brokerFrames[type] as JsonSchema)].filter(
        // What is larger than a frame may be ends the connection by itself.
        ({ value }) => JSON.stringify(value).length < brokerLimits.max_frame,
      )
      const chosen = sample(all, faultsSent, seed)
      const whole = chosen.slice(0, chosen.length - (chosen.length % malformedFramesMax))
      for (let first = 0; first < whole.length; first += malformedFramesMax) {
        const connection = await connectionFor(type, broker)
        for (const { kind, value } of whole.slice(first, first + malformedFramesMax)) {
          count(kind)
          connection.sendText(JSON.stringify(value))
        }
        expect(await connection.closed).toMatchObject({ code: 1008 })
      }
      expect(whole.length).toBeGreaterThan(10)
      expect(link.status().malformed_frames).toBe(whole.length)
      await broker.accepted()
      await eventually('the link is open again', () => link.status().connected)
      expect(told.filter((what) => !/^(opened|closed)$/.test(what))).toEqual([])
    }, 120_000)
  }

  test('that fits is refused in every state that does not take it', async () => {
    const { broker, link, told } = await start()
    const types = (Object.keys(brokerFrames) as FrameType[]).filter((type) => type !== 'error')
    const handshake = ['challenge', 'welcome', 'feature_negotiation_response'] as const
    for (const at of [...handshake, 'event'] as const) {
      const others = types.filter((type) => type !== at && (at !== 'event' || handshake.some((each) => each === type)))
      for (const type of others) {
        const before = link.status().malformed_frames
        const connection = await connectionFor(at, broker)
        connection.sendText(JSON.stringify(fitting(brokerFrames[type] as JsonSchema)))
        await eventually(`${type} is refused before ${at}`, () => link.status().malformed_frames === before + 1)
        count('wrong state')
        connection.socket.terminate()
      }
    }
    expect(told.filter((what) => !/^(opened|closed)$/.test(what))).toEqual([])
  })
})

describe('the result of a call', () => {
  const all = (Object.keys(operations) as Operation[]).flatMap((op) =>
    [...faults(operations[op].result as JsonSchema)].map((fault) => ({ op, ...fault })),
  )

  test('is judged to be none with every single fault', () => {
    for (const { op, kind, at, value } of all) {
      count(`result with ${kind}`)
      expect([op, at, findResultFault(op, value)]).toEqual([op, at, expect.any(String)])
    }
  })

  test('that is none fails its call alone, and is counted', async () => {
    const { broker, link } = await start()
    const small = all.filter(({ value }) => JSON.stringify(value).length < brokerLimits.max_frame / 2)
    const chosen = sample(small, faultsSent - (faultsSent % malformedFramesMax), seed)
    for (let first = 0; first < chosen.length; first += malformedFramesMax) {
      const connection = await broker.accepted()
      await eventually('the link is open', () => link.status().connected)
      for (const { op, kind, value } of chosen.slice(first, first + malformedFramesMax)) {
        const call = link.request(op, fitting(operations[op].params as JsonSchema) as never)
        const outcome = call.then(
          () => 'resolved',
          (error: { code?: string }) => error.code,
        )
        const { request_id } = await connection.next('request')
        connection.sendText(JSON.stringify({ type: 'response', request_id, status: 200, result: value }))
        expect([op, kind, await outcome]).toEqual([op, kind, 'invalid_frame'])
      }
      expect(await connection.closed).toMatchObject({ code: 1008 })
    }
    expect(link.status().malformed_frames).toBe(chosen.length)
  }, 120_000)
})

describe('bytes', () => {
  const text = 1
  const frame = (opcode: number, payload: string | Buffer, more: object = {}) =>
    encodeFrame({ opcode, payload, masked: false, ...more })
  const fragment = (opcode: number, payload: string) => frame(opcode, payload, { fin: false })
  const rows: readonly (readonly [what: string, bytes: readonly Buffer[]])[] = [
    ['with a mask', [frame(text, '{}', { masked: true })]],
    ['with reserved bits', [frame(text, '{}', { reserved: 0x10 })]],
    ['that say they are compressed', [frame(text, '{}', { reserved: 0x40 })]],
    ['of an unknown kind', [frame(3, '{}')]],
    ['that go on with nothing', [frame(0, '{}')]],
    ['of a message within a message', [fragment(text, '{'), frame(text, '{}')]],
    ['of a ping that is too long', [frame(9, 'x'.repeat(126))]],
    ['of a close code that is none', [frame(8, Buffer.from([0, 7]))]],
    ['that are no UTF-8, in parts', [fragment(text, '"'), frame(0, Buffer.from([0xff]))]],
    ['that announce more than there can be', [frame(text, '', { length: 2n ** 63n - 1n })]],
    ['that announce more than a frame', [frame(text, '', { length: 1_048_577n })]],
    ['that grow beyond a frame', [fragment(text, '"'), ...Array(17).fill(fragment(0, 'x'.repeat(65_536)))]],
    ['in parts without end', [fragment(text, '"'), ...Array(20_000).fill(fragment(0, 'x'))]],
  ]

  test('that are none cost the connection and nothing else', async () => {
    const { broker, link, told } = await start()
    for (const [what, bytes] of rows) {
      const connection = await broker.accepted()
      await eventually('the link is open', () => link.status().connected)
      const ended = told.filter((each) => each === 'closed').length
      ;(connection.socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(Buffer.concat(bytes))
      await eventually(`${what}: the connection has ended`, () => {
        return told.filter((each) => each === 'closed').length > ended
      })
      count('bytes')
    }
    await broker.accepted()
    await eventually('the link is open again', () => link.status().connected)
  })
})
