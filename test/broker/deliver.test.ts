/** From the broker to the recipient, and the word back to the sender (02 §7, §10; 04 §3). */
import type { DeliveryItem } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import type { BrokerConfig } from '../../apps/broker/src/config.ts'
import { eventually } from '../support/eventually.ts'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember, textOf } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'

test('a message is delivered as it was sent, and its sender is told when it was stored', async () => {
  const { a, b, alice, bob } = await connectPair()
  const sent = message({ to: { kind: 'dm', ref: bob.memberId }, text: 'hi bob', priority: 'now' })
  const result = await a.postOne(sent)
  const [delivery] = await b.deliveries(1)
  expect(delivery).toMatchObject({
    broker_message_id: 'history_id' in result ? result.broker_message_id : '',
    history_id: '1',
    client_message_id: sent.client_message_id,
    sender: alice.memberId,
    destination: { kind: 'dm', ref: bob.memberId },
    reply_to: null,
    priority: 'now',
    sealed: sent.sealed,
  })
  await a.settled()
  expect(a.pending('receipts'), 'nothing is told before the recipient has stored it').toEqual([])
  b.acknowledge(delivery === undefined ? [] : [delivery])
  const [receipt] = await a.receipts(1)
  expect(receipt).toMatchObject({
    recipient: bob.memberId,
    state: 'delivered',
    client_message_id: sent.client_message_id,
  })
})

test('messages from one sender arrive in the order in which they were accepted', async () => {
  const { a, b, bob } = await connectPair()
  const items = Array.from({ length: 600 }, (_, n) => message({ to: { kind: 'dm', ref: bob.memberId }, text: `${n}` }))
  for (const start of [0, 200, 400]) a.send({ type: 'send', items: items.slice(start, start + 200) })
  expect((await b.deliveries(600)).map(textOf)).toEqual(items.map(textOf))
})

describe('a delivery that was not acknowledged', () => {
  test('comes again when its lease is over', async () => {
    const { a, b, bob } = await connectPair({ leaseMs: 100 })
    await a.postOne(message({ to: { kind: 'dm', ref: bob.memberId } }))
    const [first] = await b.deliveries(1)
    const [second] = await b.deliveries(1)
    expect(second).toEqual(first)
    b.acknowledge(second === undefined ? [] : [second])
    await b.settled()
  })

  test('comes again at once on the next connection, in order, and what was acknowledged does not', async () => {
    const { url, a, b, bob } = await connectPair()
    const items = Array.from({ length: 10 }, (_, n) => message({ to: { kind: 'dm', ref: bob.memberId }, text: `${n}` }))
    await a.post(items)
    const before = await b.deliveries(10)
    b.acknowledge(before.filter((_, n) => n % 2 === 0))
    await b.settled()
    await b.close()
    const again = await RawMember.connect(url, bob)
    expect((await again.deliveries(5)).map(textOf)).toEqual(['1', '3', '5', '7', '9'])
  })

  test('survives a restart of the broker', async () => {
    const first = await startBroker()
    const mesh = new RawMesh()
    const bob = mesh.join('bob')
    const a = await RawMember.connect(first.url, mesh.founder)
    const b = await RawMember.connect(first.url, bob)
    await b.request('topics.subscribe', { topic: 'news' })
    await a.post([
      message({ to: { kind: 'dm', ref: bob.memberId }, text: 'one' }),
      message({ to: { kind: 'topic', ref: 'news' }, text: 'two' }),
    ])
    await b.deliveries(2)
    await first.close()
    expect(await b.closing()).toMatchObject({ code: 1012, reason: { kind: 'service_restart' } })
    const second = await startBroker({ data: first.data, registration: 'closed' })
    const again = await RawMember.connect(second.url, bob)
    const [one, two] = await again.deliveries(2)
    expect([one, two].map((item) => textOf(item ?? { sealed: '' }))).toEqual(['one', 'two'])
    again.acknowledge([one, two].filter((item): item is DeliveryItem => item !== undefined))
    const sender = await RawMember.connect(second.url, mesh.founder)
    expect(await sender.receipts(2)).toHaveLength(2)
  })
})

test('a member that was away gets everything in order, and its unacknowledged deliveries stay bounded', async () => {
  const { url } = await startBroker()
  const mesh = new RawMesh()
  const bob = mesh.join('bob')
  await (await RawMember.connect(url, bob)).close()
  const a = await RawMember.connect(url, mesh.founder)
  const count = 6_000
  for (let start = 0; start < count; start += 250) {
    const items = Array.from({ length: 250 }, (_, n) =>
      message({ to: { kind: 'dm', ref: bob.memberId }, text: `${start + n}`, receipts: false }),
    )
    expect((await a.post(items)).every((result) => result.status === 201)).toBe(true)
  }
  const b = await RawMember.connect(url, bob)
  const received = [...(await b.deliveries(2_048))]
  await b.settled()
  expect(b.pending('deliver'), 'the window is full').toEqual([])
  b.acknowledge(received)
  while (received.length < count) {
    const items = await b.deliveries(1)
    b.acknowledge(items)
    received.push(...items)
  }
  expect(received.map(textOf)).toEqual(Array.from({ length: count }, (_, n) => String(n)))
})

describe('a peer that does not drain', () => {
  test('is closed 4008 when it acknowledges nothing of a full window, and loses nothing', async () => {
    const { url, a, b, bob } = await connectPair({ leaseMs: 60_000, slowConsumerMs: 300 })
    const sealed = Buffer.alloc(60_000)
    for (let n = 0; n < 16; n += 1) {
      const items = Array.from({ length: 10 }, () =>
        message({ to: { kind: 'dm', ref: bob.memberId }, sealed, receipts: false }),
      )
      await a.post(items)
    }
    expect(await b.closing()).toMatchObject({ code: 4008 })
    const again = await RawMember.connect(url, bob)
    expect((await again.deliveries(100)).length).toBeGreaterThanOrEqual(100)
  })

  test('is closed 4008 when it does not read', async () => {
    const { httpUrl, a, b, bob } = await connectPair({ leaseMs: 60_000, slowConsumerMs: 300 })
    await b.settled()
    b.socket.pause()
    const sealed = Buffer.alloc(60_000)
    for (let n = 0; n < 16; n += 1) {
      const items = Array.from({ length: 10 }, () =>
        message({ to: { kind: 'dm', ref: bob.memberId }, sealed, receipts: false }),
      )
      await a.post(items)
    }
    await eventually('the broker has ended the connection', async () => {
      const metrics = await (await fetch(`${httpUrl}/metrics`)).text()
      return metrics.includes('cm_broker_connections{state="open"} 1\n')
    })
    // What is left in the socket's buffers is read, and then comes the end.
    b.socket.resume()
    expect([1006, 4008]).toContain((await b.closing()).code)
  })
})

describe('receipts', () => {
  test('tell undecryptable and rejected deliveries as undeliverable with the reason', async () => {
    const { a, b, bob } = await connectPair()
    for (const outcome of ['undecryptable', 'rejected'] as const) {
      await a.postOne(message({ to: { kind: 'dm', ref: bob.memberId } }))
      b.acknowledge(await b.deliveries(1), outcome)
      expect(await a.receipts(1)).toMatchObject([{ state: 'undeliverable', reason: outcome }])
    }
  })

  test('wait for a sender that is away, come again until acknowledged, and then never', async () => {
    const { url, a, b, alice, bob } = await connectPair()
    await a.postOne(message({ to: { kind: 'dm', ref: bob.memberId } }))
    await a.close()
    b.acknowledge(await b.deliveries(1))
    await b.settled()
    const second = await RawMember.connect(url, alice)
    const [first] = await second.receipts(1)
    await second.close()
    const third = await RawMember.connect(url, alice)
    const [again] = await third.receipts(1)
    expect(again).toEqual(first)
    third.acknowledge(again === undefined ? [] : [again])
    await third.settled()
    await third.close()
    const fourth = await RawMember.connect(url, alice)
    await fourth.settled()
    expect(fourth.pending('receipts')).toEqual([])
  })

  test('are not made for a message that asked for none', async () => {
    const { a, b, bob } = await connectPair()
    await a.postOne(message({ to: { kind: 'dm', ref: bob.memberId }, receipts: false }))
    b.acknowledge(await b.deliveries(1))
    await b.settled()
    await a.settled()
    expect(a.pending('receipts')).toEqual([])
  })
})

test('a member that writes to itself is its own recipient', async () => {
  const { a, alice } = await connectPair()
  await a.postOne(message({ to: { kind: 'dm', ref: alice.memberId }, text: 'note to self' }))
  const deliveries = await a.deliveries(1)
  expect(deliveries.map(textOf)).toEqual(['note to self'])
  a.acknowledge(deliveries)
  expect(await a.receipts(1)).toMatchObject([{ recipient: alice.memberId, state: 'delivered' }])
})

test('acknowledging what is unknown, or not a number, changes nothing', async () => {
  const { a, b, bob } = await connectPair()
  await a.postOne(message({ to: { kind: 'dm', ref: bob.memberId } }))
  const deliveries = await b.deliveries(1)
  // The other member's delivery, by its id; and texts that no broker gave out.
  a.acknowledge([...deliveries, { delivery_id: '999' }, { delivery_id: 'x' }, { delivery_id: '1e3' }])
  await a.settled()
  b.acknowledge(deliveries)
  expect(await a.receipts(1)).toHaveLength(1)
})

async function connectPair(config: Partial<BrokerConfig> = {}) {
  const broker = await startBroker(config)
  const mesh = new RawMesh()
  const alice = mesh.founder
  const bob = mesh.join('bob')
  const a = await RawMember.connect(broker.url, alice)
  const b = await RawMember.connect(broker.url, bob)
  return { ...broker, mesh, alice, bob, a, b }
}
