/**
 * Every frame and every call of a daemon, as the protocol's own schemas say, with each fault that they can tell of, in
 * every state of a connection; and bytes that are no WebSocket. The peer is answered, or its connection ended with a
 * documented code; the connection of somebody else goes on all the while, and nothing is kept.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limits } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { daemonFrames } from '../../packages/protocol/src/frames.ts'
import { operations } from '../../packages/protocol/src/requests.ts'
import { eventually } from '../support/eventually.ts'
import { findFreePort, TestBroker } from '../support/mesh.ts'
import { memoryLevelsOff, openDescriptors } from '../support/process-figures.ts'
import { makeHello, message, RawMember, textOf } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { faults, fitting, type JsonSchema } from '../support/schema-faults.ts'
import { sample, seeded } from '../support/seed.ts'
import { encodeFrame } from '../support/websocket-frames.ts'

type FrameType = keyof typeof daemonFrames
const frameTypes = Object.keys(daemonFrames) as FrameType[]
/** Faults of each frame that travel: a choice that differs with the seed. */
const faultsSent = Number(process.env.CLAUDEMESH_TEST_HOSTILE_FRAMES ?? 60)
const { seed } = seeded()
/** As many as end a connection. */
const invalidFramesMax = 3

const directory = mkdtempSync(join(tmpdir(), 'cm-'))
const mesh = new RawMesh()
const peer = mesh.join('peer')
const counts = new Map<string, number>()
let broker: TestBroker
let url: string
/** Somebody else, who must not notice. */
let witness: RawMember
let witnessed = 0

beforeAll(async () => {
  broker = new TestBroker(join(directory, 'broker'), await findFreePort())
  await broker.start()
  url = `${broker.url}/v1/ws`
  witness = await RawMember.connect(url, mesh.founder)
}, 60_000)

afterAll(async () => {
  const listed = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')
  console.log(
    `hostile frames to a broker, seed ${seed}: ${[...counts.values()].reduce((sum, n) => sum + n, 0)}: ${listed}`,
  )
  await broker.kill()
  rmSync(directory, { recursive: true, force: true })
})

/** A message of the witness goes through, on the connection that it had from the beginning. */
async function expectUnharmed(): Promise<void> {
  witnessed += 1
  const text = `witness ${witnessed}`
  expect(await witness.postOne(message({ to: { kind: 'dm', ref: mesh.founder.memberId }, text }))).toMatchObject({
    status: 201,
  })
  const [delivery] = await witness.deliveries(1)
  expect(delivery === undefined ? null : textOf(delivery)).toBe(text)
  witness.acknowledge(delivery === undefined ? [] : [delivery])
  expect(witness.isClosed).toBe(false)
  expect(broker.running.ending).toBeNull()
  expect((await fetch(url.replace(/^ws(.*)\/v1\/ws$/, 'http$1/readyz'))).ok).toBe(true)
}

function count(kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1)
}

/** A connection in a state, by the steps of the handshake that were made. */
const reach: Readonly<Record<'challenged' | 'welcomed' | 'open', (member: RawMember) => Promise<void>>> = {
  challenged: async (member) => void (await member.next('challenge')),
  welcomed: async (member) => void (await member.greet(url, peer)),
  open: async (member) => {
    await member.greet(url, peer)
    await member.negotiate()
  },
}
type State = keyof typeof reach

async function connectionIn(state: State): Promise<RawMember> {
  const member = RawMember.dial(url)
  await reach[state](member)
  return member
}

/** Each is answered `invalid_frame`, and the third of a connection ends it. */
async function expectInvalid(state: State, frames: readonly (readonly [kind: string, text: string])[]): Promise<void> {
  for (let first = 0; first < frames.length; first += invalidFramesMax) {
    const part = frames.slice(first, first + invalidFramesMax)
    const member = await connectionIn(state)
    for (const [kind, text] of part) {
      count(kind)
      member.sendText(text)
      const answer = await member.next('error').catch((error: unknown) => String(error))
      expect([text.slice(0, 200), answer]).toEqual([text.slice(0, 200), expect.objectContaining({ type: 'error' })])
      expect(answer).toMatchObject({ code: 'invalid_frame' })
    }
    if (part.length === invalidFramesMax) {
      expect(await member.closing()).toMatchObject({ code: 1008, reason: { kind: 'invalid_frame' } })
    } else {
      await member.close()
    }
  }
}

describe('a frame', () => {
  const stateFor: Readonly<Record<FrameType, State>> = {
    hello: 'challenged',
    feature_negotiation_request: 'welcomed',
    send: 'open',
    deliver_ack: 'open',
    request: 'open',
  }

  for (const type of frameTypes) {
    test(`${type} is refused with any single fault that its schema tells of`, async () => {
      const all = [...faults(daemonFrames[type] as JsonSchema)].map(
        ({ kind, value }) => [kind, JSON.stringify(value)] as const,
      )
      // What is larger than a frame may be is no frame at all; see below.
      const frames = all.filter(([, text]) => text.length <= limits.frameBytesMax)
      expect(frames.length).toBeGreaterThan(20)
      await expectInvalid(stateFor[type], sample(frames, faultsSent, seed))
      await expectUnharmed()
    }, 120_000)
  }

  test('that fits is refused in every state that does not take it', async () => {
    for (const state of Object.keys(reach) as State[]) {
      const others = frameTypes.filter((type) => stateFor[type] !== state)
      const frames = others.map(
        (type) => ['wrong state', JSON.stringify(fitting(daemonFrames[type] as JsonSchema))] as const,
      )
      await expectInvalid(state, frames)
    }
    await expectUnharmed()
  })

  test('hello is taken once: a second one right behind it, and one later, are refused', async () => {
    const member = RawMember.dial(url)
    const { nonce } = await member.next('challenge')
    const hello = makeHello({ url, nonce, identity: peer })
    member.send(hello)
    member.send(hello)
    expect(await member.next('error')).toMatchObject({ code: 'invalid_frame' })
    await member.next('welcome')
    await member.negotiate()
    member.send(hello)
    expect(await member.next('error')).toMatchObject({ code: 'invalid_frame' })
    await member.settled()
    count('hello twice')
    await member.close()
    await expectUnharmed()
  })

  test('of the other direction is refused like one that there is not', async () => {
    const challenge = { type: 'challenge', nonce: 'A'.repeat(43), broker_time: 1, broker_version: 'x' }
    const frames = [challenge, { type: 'deliver', items: [] }, { type: 'welcome' }]
    await expectInvalid(
      'open',
      frames.map((frame) => ['wrong direction', JSON.stringify(frame)] as const),
    )
  })
})

describe('a call', () => {
  test('with a fault in its parameters is answered 400, and its connection goes on', async () => {
    const member = await connectionIn('open')
    for (const [op, { params }] of Object.entries(operations)) {
      for (const { kind, at, value } of faults(params as JsonSchema)) {
        // What is no object is no frame.
        if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
        count(`call with ${kind}`)
        const response = await member.call(op, value)
        expect([op, at, response]).toEqual([op, at, expect.objectContaining({ status: 400, code: 'invalid_request' })])
      }
    }
    await member.close()
    await expectUnharmed()
  }, 120_000)

  test('that fits is answered, whatever it is about, and so is one that there is not', async () => {
    const member = await connectionIn('open')
    // This one ends the connection, as it should.
    const { 'members.leave': _, ...others } = operations
    for (const [op, { params }] of [...Object.entries(others), ['sudo', { params: {} }] as const]) {
      count('call: fits')
      const response = await member.call(op, (fitting(params as JsonSchema) ?? {}) as object)
      expect([op, response.status < 500]).toEqual([op, true])
    }
    await member.close()
    await expectUnharmed()
  })

  test('under an id that is in use is answered as well', async () => {
    const member = await connectionIn('open')
    const twice = { type: 'request', request_id: 'same', op: 'members.list', params: { limit: 1 } } as const
    for (let n = 0; n < 200; n += 1) member.send(twice)
    await member.settled()
    expect(member.pending('response')).toHaveLength(200)
    count('call: id in use')
    await member.close()
  })
})

describe('messages and acknowledgements', () => {
  const to = { kind: 'dm', ref: peer.memberId } as const

  test('of one id many times in a frame are one message', async () => {
    const member = await connectionIn('open')
    const item = message({ to, text: 'once' })
    const other = message({ to, text: 'another', id: item.client_message_id })
    const results = await member.post([...Array(100).fill(item), ...Array(100).fill(other)])
    const statuses = results.map((result) => result.status)
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    expect(statuses.filter((status) => status === 200)).toHaveLength(99)
    expect(statuses.filter((status) => status === 409)).toHaveLength(100)
    const [delivery] = await member.deliveries(1)
    member.acknowledge(delivery === undefined ? [] : [delivery])
    await member.settled()
    expect(member.pending('deliver')).toEqual([])
    count('ids many times')
    await member.close()
  })

  test('of deliveries that never were, of somebody else, or twice change nothing', async () => {
    const member = await connectionIn('open')
    const mine = await member.postOne(message({ to, text: 'mine', receipts: false }))
    expect(mine).toMatchObject({ status: 201 })
    const [delivery] = await member.deliveries(1)
    const id = delivery?.delivery_id ?? ''
    const never = ['0', '-1', '9'.repeat(19), '9'.repeat(64), '1e9', '\u0000', "';--", 'NaN']
    witness.acknowledge([{ delivery_id: id }])
    await witness.settled()
    for (const outcome of ['stored', 'duplicate', 'undecryptable', 'rejected'] as const) {
      member.acknowledge(
        never.map((delivery_id) => ({ delivery_id })),
        outcome,
      )
    }
    await member.settled()
    await member.close()
    const again = await connectionIn('open')
    expect((await again.deliveries(1)).map(textOf)).toEqual(['mine'])
    again.acknowledge(Array(256).fill({ delivery_id: id }))
    await again.settled()
    count('acknowledgements of nothing')
    await again.close()
    await expectUnharmed()
  })
})

describe('bytes', () => {
  const text = 1
  const ping = 9
  const close = 8
  const frame = (opcode: number, payload: string | Buffer, more: object = {}) =>
    encodeFrame({ opcode, payload, ...more })
  const fragment = (opcode: number, payload: string, fin = false) => frame(opcode, payload, { fin })
  const rows: readonly (readonly [what: string, bytes: readonly Buffer[], code: number])[] = [
    ['that are no WebSocket frame', [Buffer.from('GET / HTTP/1.1\r\n\r\n')], 1002],
    ['of TLS', [Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])], 1002],
    ['without a mask', [frame(text, '{}', { masked: false })], 1002],
    ['with reserved bits', [frame(text, '{}', { reserved: 0x20 })], 1002],
    ['that say they are compressed', [frame(text, '{}', { reserved: 0x40 })], 1002],
    ['of an unknown kind', [frame(3, '{}')], 1002],
    ['of an unknown kind of control', [frame(11, '')], 1002],
    ['that go on with nothing', [fragment(0, '{}')], 1002],
    ['of a message within a message', [fragment(text, '{'), frame(text, '{}')], 1002],
    ['of a ping that is too long', [frame(ping, 'x'.repeat(126))], 1002],
    ['of a ping in parts', [fragment(ping, 'x')], 1002],
    ['of half a close code', [frame(close, 'x')], 1002],
    ['of a close code that is none', [frame(close, Buffer.from([3, 237]))], 1002],
    ['of a close whose reason is no text', [frame(close, Buffer.from([3, 232, 0xc3, 0x28]))], 1007],
    ['that are no UTF-8', [frame(text, Buffer.from([0x22, 0xc3, 0x28, 0x22]))], 1007],
    ['that are no UTF-8, in parts', [fragment(text, '"'), frame(0, Buffer.from([0xff, 0x22]))], 1007],
    ['that announce more than there can be', [frame(text, '', { length: 2n ** 63n - 1n })], 1009],
    ['that announce more than a frame', [frame(text, '', { length: BigInt(limits.frameBytesMax) + 1n })], 1009],
    ['that grow beyond a frame', [fragment(text, '"'), ...Array(17).fill(fragment(0, 'x'.repeat(65_536)))], 1009],
    ['in parts without end', [fragment(text, '"'), ...Array(20_000).fill(fragment(0, 'x'))], 1008],
    ['in empty parts without end', [fragment(text, ''), ...Array(20_000).fill(fragment(0, ''))], 1008],
  ]

  test('that are none end the connection with its code', async () => {
    const codes: (readonly [string, number | null])[] = []
    for (const [what, bytes] of rows) {
      count('bytes')
      const socket = await RawSocket.connect(url)
      await socket.said('challenge')
      socket.write(Buffer.concat(bytes))
      codes.push([what, await socket.closed()])
    }
    expect(codes).toEqual(rows.map(([what, , code]) => [what, code]))
    await expectUnharmed()
  })

  test('of a frame in single bytes, with pings between, are one frame', async () => {
    const socket = await RawSocket.connect(url)
    await socket.said('challenge')
    const frameText = '{"type":"no such frame"}'
    for (const [index, letter] of [...frameText].entries()) {
      socket.write(fragment(index === 0 ? text : 0, letter, index === frameText.length - 1))
      socket.write(frame(ping, 'x'))
    }
    await socket.said('unknown frame type')
    socket.write(frame(2, '{"type":"hello"}'))
    await socket.said('frames are text')
    socket.destroy()
    count('bytes')
  })

  test('of an upgrade that is cut, or that goes on as nothing, are no burden', async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => RawSocket.connect(url)))
    for (const [index, socket] of sockets.entries()) {
      if (index % 2 === 0) socket.write(frame(text, '{"type":"hello"', { length: 1000n }))
      socket.destroy()
    }
    count('bytes')
    await expectUnharmed()
  })
})

test('none of it is kept: memory and descriptors level off, and no connection is left', async () => {
  const { pid } = broker.running
  const wave = async (identity: MemberIdentity) => {
    for (let n = 0; n < 10; n += 1) {
      const member = await RawMember.connect(url, identity)
      for (let m = 0; m < invalidFramesMax; m += 1) member.sendText(`{"type":"send","items":${'['.repeat(100_000)}`)
      await member.closing()
    }
  }
  const descriptors = openDescriptors(pid)
  const seen = await memoryLevelsOff(pid, () => wave(peer))
  console.log(`hostile frames: memory levels off after ${seen.length} waves`)
  if (descriptors !== null) {
    await eventually('its connections are gone', () => (openDescriptors(pid) ?? 0) <= descriptors)
  }
  await expectUnharmed()
}, 120_000)
