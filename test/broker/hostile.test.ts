/**
 * Peers that are broken or mean harm: their own connection ends, and nobody else notices. Frames that the schemas refuse
 * are in hostile-frames.test.ts.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { handshakeBurst } from '../../apps/broker/src/limits.ts'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
import { eventually } from '../support/eventually.ts'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'

describe('a frame that is none', () => {
  const { founder } = new RawMesh()
  const rows: readonly { readonly what: string; readonly text: string }[] = [
    { what: 'not JSON', text: '{"type":' },
    { what: 'no object', text: '[1,2,3]' },
    { what: 'null', text: 'null' },
    { what: 'of an unknown type', text: '{"type":"sudo"}' },
    { what: 'of a type named like a member of every object', text: '{"type":"__proto__"}' },
    {
      what: 'nested without end',
      text: `{"type":"request","request_id":"1","op":"x","params":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`,
    },
    { what: 'nested in lists without end', text: '['.repeat(200_000) },
  ]
  for (const { what, text } of rows) {
    test(`(${what}) is answered invalid_frame, and the third ends the connection`, async () => {
      const { url } = await startBroker()
      const member = await RawMember.connect(url, founder)
      if (what.startsWith('nested without')) {
        // A well-formed request of an operation that there is not.
        member.sendText(text)
        expect(await member.next('response')).toMatchObject({ status: 404 })
        return
      }
      for (let n = 0; n < 3; n += 1) {
        member.sendText(text)
        expect(await member.next('error')).toMatchObject({ code: 'invalid_frame' })
      }
      expect(await member.closing()).toMatchObject({ code: 1008 })
      await expectHealthy(url)
    })
  }
})

test('an address whose handshakes lead nowhere is told to wait, and no other address is', async () => {
  // With a clock that stands still nothing of its share grows again, however slow the machine is.
  const { url } = await startBroker({ trustedProxies: ['127.0.0.1'] }, { ...systemRuntime(), monotonicMs: () => 1_000 })
  const answers: (number | undefined)[] = []
  const waits: (string | undefined)[] = []
  for (let n = 0; n < handshakeBurst + 50; n += 1) {
    const { status, retryAfter } = await tryHandshake(url, '198.51.100.7')
    answers.push(status)
    if (retryAfter !== undefined) waits.push(retryAfter)
  }
  expect(answers.slice(0, handshakeBurst).every((status) => status === 101)).toBe(true)
  expect(answers).toContain(429)
  expect(Number(waits[0])).toBeGreaterThanOrEqual(1)
  expect((await tryHandshake(url, '198.51.100.8')).status).toBe(101)
})

test('a hundred connections of garbage do not disturb a member', async () => {
  const { url } = await startBroker()
  const { founder } = new RawMesh()
  const member = await RawMember.connect(url, founder)
  const garbage = Array.from({ length: 100 }, () => flood(url))
  for (let n = 0; n < 50; n += 1) {
    expect(await member.postOne(message({ to: { kind: 'dm', ref: founder.memberId } }))).toMatchObject({ status: 201 })
  }
  const codes = await Promise.all(garbage)
  expect(new Set(codes)).toEqual(new Set([1008]))
  await member.settled()
})

test('whatever text a member sends, the broker goes on', async () => {
  const { url } = await startBroker()
  const mesh = new RawMesh()
  const frames = fc.oneof(
    fc.string({ maxLength: 200 }),
    fc.json(),
    fc
      .record(
        {
          type: fc.constantFrom('hello', 'feature_negotiation_request', 'send', 'deliver_ack', 'request', 'x'),
          items: fc.oneof(
            fc.jsonValue(),
            fc.array(fc.record({ delivery_id: fc.string(), outcome: fc.constant('stored') })),
          ),
          request_id: fc.string(),
          op: fc.oneof(fc.constantFrom('members.list', 'topics.list', 'history.page', 'profile.set'), fc.string()),
          params: fc.jsonValue(),
        },
        { requiredKeys: ['type'] },
      )
      .map((value) => JSON.stringify(value)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(frames, { minLength: 1, maxLength: 5 }), async (texts) => {
      const member = await RawMember.connect(url, mesh.founder)
      for (const text of texts) member.sendText(text)
      member.socket.close()
      await member.closing()
    }),
    { numRuns: 40 },
  )
  await expectHealthy(url)
})

test('a peer that sends without reading its answers is held, not served without bound', async () => {
  const { url } = await startBroker()
  const { founder } = new RawMesh()
  const member = await RawMember.connect(url, founder)
  const asked = 2_000
  for (let n = 0; n < asked; n += 1) {
    member.send({ type: 'request', request_id: `r${n}`, op: 'members.list', params: { limit: 256 } })
  }
  await member.next('response', (frame) => frame.request_id === `r${asked - 1}`)
  expect(member.pending('response')).toHaveLength(asked - 1)
})

test('sockets that never say a word do not keep the broker from stopping', async () => {
  const { url, close } = await startBroker()
  const sockets = Array.from({ length: 5 }, () => new WebSocket(url, 'claudemesh.v1'))
  const ended = sockets.map((socket) => new Promise((resolve) => socket.on('close', resolve)))
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.on('open', resolve))))
  await close()
  expect(await Promise.all(ended)).toEqual(Array(5).fill(1012))
})

/** @returns the code that the connection was closed with */
function flood(url: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, 'claudemesh.v1')
    socket.on('error', () => undefined)
    socket.on('open', () => {
      for (let n = 0; n < 20; n += 1) socket.send(`garbage ${n}`)
    })
    socket.on('close', resolve)
  })
}

async function expectHealthy(url: string): Promise<void> {
  await eventually('the broker answers', async () => {
    const response = await fetch(new URL('/readyz', url.replace(/^ws/, 'http')))
    return response.ok
  })
}

/** Opens a WebSocket as a proxy would for this address, and leaves without a word. */
function tryHandshake(
  url: string,
  address: string,
): Promise<{ readonly status: number | undefined; readonly retryAfter?: string | undefined }> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, 'claudemesh.v1', { headers: { 'x-forwarded-for': address } })
    socket.on('error', () => undefined)
    socket.on('unexpected-response', (_request, response) => {
      resolve({ status: response.statusCode, retryAfter: response.headers['retry-after'] })
      socket.terminate()
    })
    socket.on('open', () => {
      resolve({ status: 101 })
      socket.terminate()
    })
  })
}
