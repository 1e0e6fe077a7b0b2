/** What a member reports as read, over real sockets (02 §10). */
import { createIdSource } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../apps/broker/src/config.ts'
import type { MeshSettings } from '../../apps/broker/src/settings.ts'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'

const nextId = createIdSource(() => Date.now())

describe('read receipts', () => {
  test('reach the sender at once, after the delivered one', async () => {
    const { a, b, bob } = await connectPair()
    const { id, clientMessageId } = await deliver(a, b, bob.memberId)
    const at = Date.now()
    expect(await b.request('receipts.read', { items: [{ broker_message_id: id, at }] })).toEqual({})
    const about = { broker_message_id: id, client_message_id: clientMessageId, recipient: bob.memberId }
    expect(await a.receipts(2)).toMatchObject([
      { ...about, state: 'delivered' },
      { ...about, state: 'read', at: expect.any(Number) },
    ])
  })

  test('wait for a sender that is away, and come again until it has acknowledged them', async () => {
    const { url, a, b, alice, bob } = await connectPair()
    const { id } = await deliver(a, b, bob.memberId)
    await a.close()
    await b.request('receipts.read', { items: [{ broker_message_id: id, at: Date.now() }] })
    for (const acknowledges of [false, true]) {
      const again = await RawMember.connect(url, alice)
      const receipts = await again.receipts(2)
      expect(receipts.map(({ state }) => state)).toEqual(['delivered', 'read'])
      if (acknowledges) again.acknowledge(receipts)
      await again.settled()
      await again.close()
    }
    const last = await RawMember.connect(url, alice)
    await last.settled()
    expect(last.pending('receipts')).toEqual([])
  })

  test('are one, however often the reader reports it, and from whichever connection', async () => {
    const { url, a, b, bob } = await connectPair({ concurrencyPolicy: 'allow_concurrent' })
    const { id } = await deliver(a, b, bob.memberId)
    const second = await RawMember.connect(url, bob)
    const items = [{ broker_message_id: id, at: Date.now() }]
    await Promise.all([b, second, b, second].map((member) => member.request('receipts.read', { items })))
    await b.request('receipts.read', { items: [...items, ...items] })
    await a.settled()
    expect((await a.receipts(2)).map(({ state }) => state)).toEqual(['delivered', 'read'])
    await a.settled()
    expect(a.pending('receipts')).toEqual([])
  })

  test('cannot be had from a member that the message was not for', async () => {
    const { url, mesh, a, b, bob } = await connectPair()
    const carol = await RawMember.connect(url, mesh.join('carol'))
    await carol.request('topics.subscribe', { topic: 'news' })
    const { id } = await deliver(a, b, bob.memberId)
    await a.receipts(1)
    const post = await a.postOne(message({ to: { kind: 'topic', ref: 'news' } }))
    if (!('broker_message_id' in post)) throw new Error('the post is accepted')
    const items = [id, post.broker_message_id, nextId()].map((each) => ({ broker_message_id: each, at: Date.now() }))
    expect(await carol.request('receipts.read', { items })).toEqual({})
    const told = await a.receipts(1)
    await a.settled()
    expect(told).toMatchObject([{ broker_message_id: post.broker_message_id, state: 'read' }])
    expect(a.pending('receipts')).toEqual([])
  })

  test('are not made for a message that asked for none', async () => {
    const { a, b, bob } = await connectPair()
    const { id } = await deliver(a, b, bob.memberId, { receipts: false })
    expect(await b.request('receipts.read', { items: [{ broker_message_id: id, at: Date.now() }] })).toEqual({})
    await a.settled()
    expect(a.pending('receipts')).toEqual([])
  })

  test('are refused whole when a part of the report makes no sense', async () => {
    const { a, b, bob } = await connectPair()
    const { id } = await deliver(a, b, bob.memberId)
    await a.receipts(1)
    const good = { broker_message_id: id, at: Date.now() }
    for (const items of [[], [good, { broker_message_id: 'x', at: 1 }], [{ ...good, at: -1 }], Array(257).fill(good)]) {
      expect(await b.call('receipts.read', { items })).toMatchObject({ status: 400, code: 'invalid_request' })
    }
    await a.settled()
    expect(a.pending('receipts')).toEqual([])
  })
})

async function connectPair(differing: Partial<MeshSettings> = {}) {
  const { settings } = loadConfig({}, {})
  const broker = await startBroker({ settings: { ...settings, ...differing } })
  const mesh = new RawMesh()
  const alice = mesh.founder
  const bob = mesh.join('bob')
  const a = await RawMember.connect(broker.url, alice)
  const b = await RawMember.connect(broker.url, bob)
  return { url: broker.url, mesh, alice, bob, a, b }
}

/** A message that was delivered and acknowledged. */
async function deliver(
  from: RawMember,
  to: RawMember,
  ref: string,
  more: { readonly receipts?: boolean } = {},
): Promise<{ readonly id: string; readonly clientMessageId: string }> {
  const item = message({ to: { kind: 'dm', ref }, ...more })
  await from.postOne(item)
  const [delivery] = await to.deliveries(1)
  if (delivery === undefined) throw new Error('it is delivered')
  to.acknowledge([delivery])
  await to.settled()
  return { id: delivery.broker_message_id, clientMessageId: item.client_message_id }
}
