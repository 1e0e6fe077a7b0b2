/** The link against a broker that follows a script: what it says, what it takes, and how it comes back. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type BrokerFrame, closeCodes, type DeliveryItem, MeshError, type SendItem } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { memberIdOf, messageIdOf } from '../support/inbox-drafts.ts'
import { quickTimings, startLink } from '../support/link-under-test.ts'
import { brokerFeatures, brokerLimits, ScriptedBroker, type ScriptedConnection } from '../support/scripted-broker.ts'

async function startBroker(options: Parameters<typeof ScriptedBroker.start>[0] = {}): Promise<ScriptedBroker> {
  const broker = await ScriptedBroker.start(options)
  onTestFinished(() => broker.stop())
  return broker
}

/** A link that is open, and the broker's side of it. */
async function openLink(differing: Parameters<typeof startLink>[1] = {}) {
  const broker = await startBroker()
  const subject = startLink(broker.url, differing)
  const connection = await broker.accepted()
  await eventually('the link is open', () => subject.link.status().connected)
  return { broker, connection, ...subject, subject }
}

function sendItem(n: number, sealed = 'AAAA'): SendItem {
  return {
    client_message_id: `client-${n}`,
    wire_fingerprint: 'f'.repeat(64),
    destination: { kind: 'topic', ref: 'builds' },
    reply_to: null,
    priority: 'next',
    recipients_epoch: null,
    receipts: true,
    sealed,
  }
}

function deliveryItem(n: number): DeliveryItem {
  return {
    delivery_id: String(n),
    broker_message_id: messageIdOf(n),
    history_id: String(n),
    client_message_id: `client-${n}`,
    sender: memberIdOf('bob'),
    destination: { kind: 'topic', ref: 'builds' },
    reply_to: null,
    priority: 'next',
    sealed: 'AAAA',
    accepted_at: 1,
  }
}

describe('the handshake', () => {
  test('proves the member to the address that was dialled, and ends in an agreement', async () => {
    const broker = await startBroker()
    const { link, agreements, told } = startLink(broker.url)
    const connection = await broker.connection()
    expect(connection.socket.protocol).toBe('claudemesh.v1')
    const hello = await connection.accept(broker.url)
    expect(hello).toMatchObject({ daemon_version: '1.2.3', host_fingerprint: null })
    await eventually('the link is open', () => link.status().connected)
    expect(told).toEqual(['opened'])
    expect(agreements[0]).toMatchObject([
      { dedupe: { mode: 'retention_scoped', retentionDays: 30 } },
      { inflightMessages: 100, inflightBytes: 1_000_000, frameBytesMax: 1024 * 1024 },
    ])
    expect(link.status()).toMatchObject({
      state: 'open',
      broker_url: broker.url,
      broker_version: '9.9.9',
      last_error: null,
      conflict: null,
      malformed_frames: 0,
    })
    await eventually('a round trip was measured', () => link.status().round_trip_ms !== null)
  })

  const silences: readonly { at: string; script: (connection: ScriptedConnection, url: string) => Promise<unknown> }[] =
    [
      { at: 'awaiting_challenge', script: async () => undefined },
      { at: 'greeting', script: (connection, url) => connection.greet(url) },
      {
        at: 'negotiating',
        script: async (connection, url) => {
          await connection.greet(url)
          connection.send({ type: 'welcome', connection_id: 'c1', limits: brokerLimits })
        },
      },
    ]
  for (const { at, script } of silences) {
    test(`that stands still in ${at} is given up and tried again`, async () => {
      const broker = await startBroker()
      const { link } = startLink(broker.url, { timings: { ...quickTimings, handshakeStepMsMax: 400 } })
      const connection = await broker.connection()
      await script(connection, broker.url)
      await eventually(`the link is in ${at}`, () => link.status().state === at)
      expect(await connection.closed).toEqual({ code: 1008, reason: `${at} took too long` })
      await broker.accepted()
      await eventually('the link is open', () => link.status().connected)
    })
  }

  test('with a server that speaks no such protocol fails, says so, and is tried again', async () => {
    const server = createServer((_, response) => response.writeHead(503).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { link, unreachable } = startLink(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/ws`)
    await eventually('it was tried twice', () => unreachable.count >= 2)
    expect(link.status()).toMatchObject({ connected: false, last_error: 'Unexpected server response: 503' })
  })

  test('with a broker that is busy comes back after the time that it asks for', async () => {
    const attempts: number[] = []
    const server = createServer((_, response) => response.writeHead(429, { 'retry-after': '1' }).end())
    server.on('connection', () => attempts.push(performance.now()))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const timings = { ...quickTimings, backoffMsCap: 60_000 }
    const { link } = startLink(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/ws`, { timings })
    await eventually('it was tried three times', () => attempts.length >= 3)
    const pauses = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0))
    expect(Math.min(...pauses)).toBeGreaterThan(990)
    expect(link.status()).toMatchObject({ last_error: 'Unexpected server response: 429' })
  })

  test('is starting for its first seconds, and down after that or when it was open before', async () => {
    const broker = await startBroker()
    const { url } = broker
    const { link } = startLink(url)
    expect(link.status()).toMatchObject({ connected: false, is_starting: true })
    const connection = await broker.accepted()
    await eventually('the link is open', () => link.status().connected)
    await broker.stop()
    await connection.closed
    await eventually('the link is down', () => !link.status().connected)
    expect(link.status().is_starting).toBe(false)
    const { link: late } = startLink(url, { timings: { ...quickTimings, startMsMax: 50 } })
    expect(late.status().is_starting).toBe(true)
    await eventually('its first seconds are over', () => !late.status().is_starting)
  })

  test('with an address that nobody listens on asks for a broker each time, and succeeds when there is one', async () => {
    const gone = await ScriptedBroker.start()
    const { port, url } = gone
    await gone.stop()
    const { link, unreachable } = startLink(url)
    await eventually('it was tried three times', () => unreachable.count >= 3)
    expect(link.status().last_error).toContain('ECONNREFUSED')
    const broker = await startBroker({ port })
    await broker.accepted()
    await eventually('the link is open', () => link.status().connected)
  })
})

describe('negotiation', () => {
  const { client_message_id_dedupe: dedupe, concurrent_connection_policy: policy } = brokerFeatures
  const refusals: readonly {
    readonly name: string
    readonly supported: Record<string, unknown>
    readonly missing?: readonly string[]
    readonly close: keyof typeof closeCodes
    readonly feature: string
  }[] = [
    {
      name: 'a missing feature',
      supported: { client_message_id_dedupe: dedupe },
      close: 'feature_unavailable',
      feature: 'concurrent_connection_policy',
    },
    {
      name: 'a feature that the broker itself says it lacks',
      supported: { ...brokerFeatures },
      missing: ['client_message_id_dedupe'],
      close: 'feature_unavailable',
      feature: 'client_message_id_dedupe',
    },
    {
      name: 'an unknown version',
      supported: {
        client_message_id_dedupe: { ...(dedupe as object), version: 3 },
        concurrent_connection_policy: policy,
      },
      close: 'feature_param_invalid',
      feature: 'client_message_id_dedupe',
    },
    {
      name: 'ill-typed parameters',
      supported: { client_message_id_dedupe: dedupe, concurrent_connection_policy: 'yes' },
      close: 'feature_param_invalid',
      feature: 'concurrent_connection_policy',
    },
    {
      name: 'a window below the floor',
      supported: {
        client_message_id_dedupe: { ...(dedupe as object), dedupe_retention_days: 6 },
        concurrent_connection_policy: policy,
      },
      close: 'feature_param_below_floor',
      feature: 'client_message_id_dedupe',
    },
  ]
  for (const { name, supported, missing = [], close, feature } of refusals) {
    test(`${name} ends the link with ${closeCodes[close].code} and its reason, for good`, async () => {
      const broker = await startBroker()
      const { link, exits, told } = startLink(broker.url)
      const connection = await broker.connection()
      await connection.greet(broker.url)
      connection.send({ type: 'welcome', connection_id: 'c1', limits: brokerLimits })
      await connection.next('feature_negotiation_request')
      connection.send({ type: 'feature_negotiation_response', supported, missing_required: [...missing] })
      const { code, reason } = await connection.closed
      expect(code).toBe(closeCodes[close].code)
      expect(JSON.parse(reason)).toMatchObject({ kind: close, feature })
      await eventually('the daemon is told to leave', () => exits.length === 1)
      expect(exits[0]).toMatchObject({ code, name: close, reason: expect.stringContaining(feature) })
      expect(told).toEqual(['fatal'])
      expect(link.status()).toMatchObject({ state: 'failed', connected: false })
      expect(broker.count).toBe(1)
    })
  }

  test('an optional feature with parameters that make no sense is left out', async () => {
    const broker = await startBroker()
    const { agreements } = startLink(broker.url)
    const connection = await broker.connection()
    await connection.accept(broker.url, { ...brokerFeatures, work_queue: 'yes', future: { version: 1 } })
    await eventually('the link is open', () => agreements.length === 1)
    expect(Object.keys(agreements[0]?.[0].features ?? {})).toEqual(Object.keys(brokerFeatures))
  })

  test('parameters nested without end are a malformed frame and nothing worse', async () => {
    const broker = await startBroker()
    const { link } = startLink(broker.url)
    const connection = await broker.connection()
    await connection.greet(broker.url)
    connection.send({ type: 'welcome', connection_id: 'c1', limits: brokerLimits })
    await connection.next('feature_negotiation_request')
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    connection.sendText(
      `{"type":"feature_negotiation_response","supported":{"client_message_id_dedupe":${deep}},"missing_required":[]}`,
    )
    await eventually('it was counted', () => link.status().malformed_frames === 1)
    connection.send({ type: 'feature_negotiation_response', supported: { ...brokerFeatures }, missing_required: [] })
    await eventually('the link is open all the same', () => link.status().connected)
  })
})

describe('an open link', () => {
  test('carries messages both ways', async () => {
    const { connection, link, told } = await openLink()
    expect(link.transmit([sendItem(1), sendItem(2)])).toBe(true)
    expect((await connection.next('send')).items.map((item) => item.client_message_id)).toEqual([
      'client-1',
      'client-2',
    ])
    expect(link.acknowledge([{ delivery_id: '7', outcome: 'stored' }])).toBe(true)
    expect((await connection.next('deliver_ack')).items).toEqual([{ delivery_id: '7', outcome: 'stored' }])
    connection.send({ type: 'deliver', items: [deliveryItem(1), deliveryItem(2)] })
    connection.send({
      type: 'send_results',
      items: [{ client_message_id: 'client-1', status: 429, code: 'rate_limited', retry_after_ms: 5 }],
    })
    connection.send({ type: 'event', items: [{ kind: 'topic', topic: 'builds' }] })
    connection.send({
      type: 'receipts',
      items: [
        {
          delivery_id: '3',
          broker_message_id: messageIdOf(1),
          client_message_id: 'client-1',
          recipient: memberIdOf('bob'),
          state: 'delivered',
          at: 1,
        },
      ],
    })
    await eventually('all of it was told', () => told.length === 5)
    expect(told).toEqual(['opened', 'deliver 2', 'send_results 1', 'events 1', 'receipts 1'])
  })

  test('parts what is more than a frame holds, in order', async () => {
    const { connection, link } = await openLink()
    expect(link.transmit(Array.from({ length: 600 }, (_, index) => sendItem(index)))).toBe(true)
    const frames = [await connection.next('send'), await connection.next('send'), await connection.next('send')]
    expect(frames.map((frame) => frame.items.length)).toEqual([256, 256, 88])
    expect(frames.flatMap((frame) => frame.items)[599]?.client_message_id).toBe('client-599')
  })

  test('takes no more when the socket does not drain, and takes again when it does', async () => {
    const { connection, link } = await openLink()
    const large = sendItem(1, 'A'.repeat(500_000))
    connection.socket.pause()
    let taken = 0
    await eventually('the link refuses', () => {
      for (let n = 0; n < 10; n += 1) if (link.transmit([large])) taken += 1
      return !link.transmit([large])
    })
    connection.socket.resume()
    for (let n = 0; n < taken; n += 1) await connection.next('send')
    await eventually('the link takes again', () => link.transmit([sendItem(2)]))
  })

  test('costs a connection, and no more, when what arrived could not be handled', async () => {
    const { broker, connection, subject, told } = await openLink()
    subject.failure = new MeshError('storage_failed')
    connection.send({ type: 'deliver', items: [deliveryItem(1)] })
    expect(await connection.closed).toEqual({ code: 1011, reason: 'storage_failed' })
    subject.failure = null
    const again = await broker.accepted()
    again.send({ type: 'deliver', items: [deliveryItem(1)] })
    await eventually('it was told', () => told.includes('deliver 1'))
    expect(told).toEqual(['opened', 'closed', 'opened', 'deliver 1'])
  })
})

describe('a request', () => {
  const topic = { name: 'builds', subscribers: 1, subscribed: true, created_at: 1 }

  test('is answered by its response, whatever the order, and only once', async () => {
    const { connection, link } = await openLink()
    const subscribing = link.request('topics.subscribe', { topic: 'builds' })
    const telling = link.request('profile.set', { summary: null, activity: null, visible: true })
    const first = await connection.next('request')
    const second = await connection.next('request')
    expect([first.op, second.op]).toEqual(['topics.subscribe', 'profile.set'])
    connection.send({ type: 'response', request_id: second.request_id, status: 200, result: {} })
    connection.send({ type: 'response', request_id: second.request_id, status: 500, code: 'internal_error' })
    connection.send({ type: 'response', request_id: 'never asked', status: 200, result: {} })
    connection.send({ type: 'response', request_id: first.request_id, status: 200, result: { topic } })
    await expect(telling).resolves.toEqual({})
    await expect(subscribing).resolves.toEqual({ topic })
    expect(link.status().malformed_frames).toBe(0)
  })

  const failures: readonly {
    name: string
    response: Partial<Extract<BrokerFrame, { type: 'response' }>>
    code: string
  }[] = [
    { name: 'an error of the catalogue', response: { status: 404, code: 'topic_unknown' }, code: 'topic_unknown' },
    { name: 'an error of a later version', response: { status: 418, code: 'is_a_teapot' }, code: 'internal_error' },
    { name: 'a result that does not fit', response: { status: 200, result: { topic: 7 } }, code: 'invalid_frame' },
  ]
  for (const { name, response, code } of failures) {
    test(`fails with ${code} on ${name}`, async () => {
      const { connection, link } = await openLink()
      const asking = link.request('topics.subscribe', { topic: 'builds' })
      const { request_id } = await connection.next('request')
      connection.send({ type: 'response', request_id, status: 200, ...response })
      await expect(asking).rejects.toThrow(expect.objectContaining({ code }))
      expect(link.status().connected).toBe(true)
    })
  }

  test('fails when no answer comes in time, and a late answer is nobody’s', async () => {
    const { connection, link, told } = await openLink({ timings: { ...quickTimings, requestMsMax: 30 } })
    const asking = link.request('topics.subscribe', { topic: 'builds' })
    await expect(asking).rejects.toThrow(expect.objectContaining({ code: 'timeout' }))
    const { request_id } = await connection.next('request')
    connection.send({ type: 'response', request_id, status: 200, result: { topic } })
    connection.send({ type: 'deliver', items: [deliveryItem(1)] })
    await eventually('what followed was taken', () => told.includes('deliver 1'))
    expect(link.status()).toMatchObject({ connected: true, malformed_frames: 0 })
  })

  test('fails at once when the connection ends, and without one', async () => {
    const { connection, link } = await openLink()
    const asking = link.request('topics.subscribe', { topic: 'builds' })
    await connection.next('request')
    connection.socket.terminate()
    await expect(asking).rejects.toThrow(expect.objectContaining({ code: 'broker_unavailable' }))
    await link.stop()
    await expect(link.request('topics.list', { limit: 1 })).rejects.toThrow(
      expect.objectContaining({ code: 'broker_unavailable' }),
    )
    expect(link.transmit([sendItem(1)])).toBe(false)
    expect(link.acknowledge([{ delivery_id: '1', outcome: 'stored' }])).toBe(false)
  })
})

describe('coming back', () => {
  test('from a dropped connection is the same process to the broker', async () => {
    const broker = await startBroker()
    const { told, link } = startLink(broker.url)
    const first = await broker.connection()
    const hello = await first.accept(broker.url)
    await eventually('the link is open', () => told.length === 1)
    first.socket.terminate()
    const second = await broker.connection()
    const again = await second.accept(broker.url)
    await eventually('the link is open again', () => link.status().connected)
    expect(told).toEqual(['opened', 'closed', 'opened'])
    expect(again.options.instance_id).toBe(hello.options.instance_id)
  })

  test('from a broker that is there no more without a word', async () => {
    const broker = await startBroker({ answersPings: false })
    const { link, told } = startLink(broker.url, {
      timings: { ...quickTimings, pingIntervalMs: 50, silenceMsMax: 500 },
    })
    await broker.accepted()
    await eventually('the silence was noticed', () => told.includes('closed'))
    await broker.accepted()
    await eventually('the link is open again', () => link.status().connected)
  })

  for (const { code, name, after } of Object.values(closeCodes)) {
    test(`after ${code} ${name}: ${after}`, async () => {
      const { broker, connection, link, exits } = await openLink()
      connection.socket.close(code, 'because')
      if (after === 'exit') {
        await eventually('the daemon is told to leave', () => exits.length === 1)
        expect(exits).toEqual([{ code, name, reason: 'because' }])
        expect(link.status().state).toBe('failed')
        return
      }
      await broker.accepted()
      await eventually('the link is open again', () => link.status().connected)
      const conflict = link.status().conflict
      if (after === 'wait') expect(conflict).toEqual({ code, name, since: expect.any(Number) })
      else expect(conflict).toBeNull()
      expect(exits).toEqual([])
    })
  }

  test('to an identity that another host uses takes ever longer, and says so meanwhile', async () => {
    const delays: number[] = []
    const { broker, connection, link } = await openLink({
      timings: { ...quickTimings, conflictMsBase: 40, conflictMsCap: 10_000 },
    })
    let current = connection
    for (let n = 0; n < 4; n += 1) {
      current.socket.close(4003, 'replaced')
      await eventually('the link stands back', () => link.status().state === 'conflicted')
      const begin = performance.now()
      expect(link.status()).toMatchObject({
        conflict: { code: 4003, name: 'replaced_by_newer_connection' },
        last_error: '4003 replaced_by_newer_connection: replaced',
      })
      current = await broker.accepted()
      delays.push(performance.now() - begin)
    }
    expect(delays[3]).toBeGreaterThan(200)
    expect(link.status().conflict).not.toBeNull()
  })

  test('is given up by stop, wherever the link is', async () => {
    const broker = await startBroker()
    const unanswered = startLink(broker.url)
    await eventually('it waits for the challenge', () => unanswered.link.status().state === 'awaiting_challenge')
    const { link: waiting } = startLink('ws://127.0.0.1:1/v1/ws', {
      timings: { ...quickTimings, backoffMsBase: 60_000 },
    })
    await eventually('it waits to try again', () => waiting.status().state === 'waiting')
    const { link: connecting } = startLink(broker.url)
    const { link: open, told } = await openLink()
    for (const link of [unanswered.link, waiting, connecting, open]) {
      await Promise.all([link.stop(), link.stop()])
      expect(link.status()).toMatchObject({ state: 'stopped', connected: false })
    }
    expect(told).toEqual(['opened', 'closed'])
  })

  test('after stop does not happen, although the other side never answers the close', async () => {
    const { connection, link } = await openLink()
    connection.socket.pause()
    await link.stop()
    expect(link.status().state).toBe('stopped')
  })
})

describe('garbage', () => {
  test('is harmless up to the third frame, then the connection is closed with 1008 and made anew', async () => {
    const { broker, connection, link, told } = await openLink()
    connection.sendText('{"type":"no such frame"}')
    connection.sendText('not even JSON')
    connection.send({ type: 'deliver', items: [deliveryItem(1)] })
    await eventually('what followed was taken', () => told.includes('deliver 1'))
    expect(link.status().malformed_frames).toBe(2)
    connection.sendText('{"type":"deliver","items":[]}')
    expect(await connection.closed).toEqual({ code: 1008, reason: 'too many malformed frames' })
    await broker.accepted()
    await eventually('the link is open again', () => link.status().connected)
    expect(link.status().malformed_frames).toBe(3)
  })

  test('of the handshake in the middle of a conversation changes nothing', async () => {
    const { connection, link, told } = await openLink()
    connection.send({ type: 'welcome', connection_id: 'c2', limits: { ...brokerLimits, inflight_messages: 1 } })
    connection.send({ type: 'feature_negotiation_response', supported: {}, missing_required: [] })
    connection.send({ type: 'error', code: 'invalid_frame', detail: 'you too' })
    connection.send({ type: 'deliver', items: [deliveryItem(1)] })
    await eventually('what followed was taken', () => told.includes('deliver 1'))
    expect(link.status()).toMatchObject({ connected: true, malformed_frames: 2 })
    expect(told).toEqual(['opened', 'deliver 1'])
  })

  test('before the handshake is over is not taken for messages', async () => {
    const broker = await startBroker()
    const { link, told } = startLink(broker.url)
    const connection = await broker.connection()
    connection.send({ type: 'deliver', items: [deliveryItem(1)] })
    await connection.accept(broker.url)
    await eventually('the link is open', () => link.status().connected)
    expect(told).toEqual(['opened'])
  })

  const broken: readonly { name: string; send: (connection: ScriptedConnection) => void }[] = [
    { name: 'a frame above the size limit', send: (c) => c.sendText(`{"type":"${'x'.repeat(1024 * 1024)}"}`) },
    { name: 'text that is not UTF-8', send: (c) => c.socket.send(Buffer.from([0xc3, 0x28]), { binary: false }) },
    {
      name: 'bytes that are no WebSocket frame',
      send: (c) => void (c.socket as unknown as { _socket: NodeJS.WritableStream })._socket.write('HTTP/1.1 garbage'),
    },
  ]
  for (const { name, send } of broken) {
    test(`${name} costs the connection and nothing else`, async () => {
      const { broker, connection, link, told } = await openLink()
      send(connection)
      await eventually('the connection has ended', () => told.includes('closed'))
      await broker.accepted()
      await eventually('the link is open again', () => link.status().connected)
    })
  }

  test('of any kind never ends the link', async () => {
    const { broker, connection, link } = await openLink()
    let current = connection
    const types = ['deliver', 'send_results', 'receipts', 'response', 'event', 'error', 'challenge', 'welcome']
    const frame = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.json(),
      fc
        .record({ type: fc.constantFrom(...types), items: fc.jsonValue(), request_id: fc.jsonValue() })
        .map((value) => JSON.stringify(value)),
    )
    let sent = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(frame, fc.boolean()), { minLength: 1, maxLength: 6 }), async (frames) => {
        for (const [text, isBinary] of frames) {
          if (current.socket.readyState !== current.socket.OPEN) break
          current.socket.send(Buffer.from(text.toWellFormed()), { binary: isBinary })
          sent += 1
        }
        current.socket.close(1000)
        await current.closed
        current = await broker.accepted()
        await eventually('the link is open again', () => link.status().connected)
      }),
      { numRuns: 25 },
    )
    console.log(`garbage frames sent to a daemon's link: ${sent}, connections made: ${broker.count}`)
  })
})
