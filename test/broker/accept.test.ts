/** What a sender is answered (02 §9), over real sockets. */
import { limits, type SendItem } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'

describe('a send', () => {
  test('is answered 201 once and 200 ever after, also when it has become impossible since', async () => {
    const { url } = await startBroker({ rate: { member: 1, mesh: 1 } })
    const { founder } = new RawMesh()
    const member = await RawMember.connect(url, founder)
    const item = message({ to: { kind: 'dm', ref: founder.memberId } })
    const first = await member.postOne(item)
    expect(first).toMatchObject({ status: 201, history_id: '1', recipient_count: 1 })
    // The limit of one message has been reached; it does not touch what is known.
    for (let n = 0; n < 5; n += 1) {
      expect(await member.postOne(item)).toMatchObject({
        status: 200,
        duplicate: true,
        broker_message_id: 'history_id' in first ? first.broker_message_id : '',
        history_available: true,
        recipient_count: 1,
      })
    }
  })

  test('with a known id and other content is answered 409 and shows what the id is bound to', async () => {
    const { url } = await startBroker()
    const { founder } = new RawMesh()
    const member = await RawMember.connect(url, founder)
    const to = { kind: 'dm', ref: founder.memberId } as const
    const first = message({ to, id: 'one', text: 'first' })
    await member.postOne(first)
    expect(await member.postOne(message({ to, id: 'one', text: 'second' }))).toMatchObject({
      status: 409,
      code: 'idempotency_key_reused',
      broker_fingerprint_prefix: first.wire_fingerprint.slice(0, 16),
    })
  })

  test('with a known id is judged by its bytes, not by the fingerprint that it claims', async () => {
    const { url } = await startBroker()
    const { founder } = new RawMesh()
    const member = await RawMember.connect(url, founder)
    const to = { kind: 'dm', ref: founder.memberId } as const
    const first = message({ to, id: 'one', text: 'first' })
    await member.postOne(first)
    const second = message({ to, id: 'one', text: 'second' })
    const mismatch = { status: 400, code: 'fingerprint_mismatch' }
    expect(await member.postOne({ ...first, sealed: second.sealed })).toMatchObject(mismatch)
    expect(await member.postOne({ ...first, wire_fingerprint: second.wire_fingerprint })).toMatchObject(mismatch)
    expect(await member.postOne(first)).toMatchObject({ status: 200, duplicate: true })
  })

  test('of the same id by two members is two messages', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const bob = mesh.join('bob')
    const [a, b] = [await RawMember.connect(url, mesh.founder), await RawMember.connect(url, bob)]
    const item = message({ to: { kind: 'dm', ref: bob.memberId }, id: 'same' })
    expect([await a.postOne(item), await b.postOne(item)]).toMatchObject([{ status: 201 }, { status: 201 }])
  })

  test('that is refused frees its id: the same id is taken once the cause is gone', async () => {
    const { url } = await startBroker()
    const { founder } = new RawMesh()
    const member = await RawMember.connect(url, founder)
    const item = message({ to: { kind: 'topic', ref: 'news' } })
    expect(await member.postOne(item)).toMatchObject({ status: 404, code: 'topic_unknown' })
    await member.request('topics.subscribe', { topic: 'news' })
    expect(await member.postOne(item)).toMatchObject({ status: 201 })
  })

  test('of which the broker cannot take one is refused alone, and every item has its own result', async () => {
    const { url } = await startBroker({ inlineBytes: 1024 })
    const { founder } = new RawMesh()
    const member = await RawMember.connect(url, founder)
    await member.request('topics.subscribe', { topic: 'news' })
    const self = { kind: 'dm', ref: founder.memberId } as const
    const rows: readonly { readonly item: SendItem; readonly result: object }[] = [
      { item: message({ to: self }), result: { status: 201, history_id: '1' } },
      {
        item: message({ to: { kind: 'dm', ref: 'e'.repeat(64) } }),
        result: { status: 404, code: 'recipient_unknown' },
      },
      { item: message({ to: { kind: 'topic', ref: 'other' } }), result: { status: 404, code: 'topic_unknown' } },
      { item: message({ to: { kind: 'queue', ref: 'jobs' } }), result: { status: 404, code: 'queue_unknown' } },
      {
        item: { ...message({ to: self }), wire_fingerprint: '0'.repeat(64) },
        result: { status: 400, code: 'fingerprint_mismatch' },
      },
      {
        item: message({ to: self, sealed: Buffer.alloc(1025 + limits.sealedOverheadBytesMax) }),
        result: { status: 413, code: 'payload_too_large' },
      },
      {
        item: message({ to: { kind: 'topic', ref: 'news' }, recipientsEpoch: 0 }),
        result: { status: 409, code: 'recipients_stale', recipients_epoch: 1 },
      },
      {
        item: message({ to: { kind: 'topic', ref: 'news' }, recipientsEpoch: 1 }),
        result: { status: 201, history_id: '2' },
      },
      { item: message({ to: self, sealed: Buffer.alloc(1024) }), result: { status: 201, history_id: '3' } },
    ]
    const results = await member.post(rows.map((row) => row.item))
    expect(results).toMatchObject(rows.map((row) => ({ ...row.result, client_message_id: row.item.client_message_id })))
  })

  test('with one id twice in one frame is stored once', async () => {
    const { url } = await startBroker()
    const { founder } = new RawMesh()
    const member = await RawMember.connect(url, founder)
    const item = message({ to: { kind: 'dm', ref: founder.memberId } })
    expect(await member.post([item, item])).toMatchObject([{ status: 201 }, { status: 200 }])
  })

  test('beyond the rate limit is answered 429 with the time to wait, and a retry of it costs nothing twice', async () => {
    const { url } = await startBroker({ rate: { member: 3, mesh: 100 } })
    const mesh = new RawMesh()
    const member = await RawMember.connect(url, mesh.founder)
    const items = Array.from({ length: 8 }, () => message({ to: { kind: 'dm', ref: mesh.founder.memberId } }))
    const statuses = (await member.post(items)).map((result) => result.status)
    expect(statuses.slice(0, 3)).toEqual([201, 201, 201])
    expect(statuses.at(-1)).toBe(429)
    const [limited] = (await member.post(items)).filter((result) => result.status === 429)
    expect(limited).toMatchObject({ code: 'rate_limited' })
    expect(limited !== undefined && 'retry_after_ms' in limited && limited.retry_after_ms).toBeLessThanOrEqual(1_000)
  })
})

test('batches of 256 from several members at once are accepted whole, each id once, without a gap in the history', async () => {
  const { url } = await startBroker()
  const mesh = new RawMesh()
  const reader = mesh.join('reader')
  const identities = [mesh.founder, ...['b', 'c', 'd'].map((name) => mesh.join(name))]
  await (await RawMember.connect(url, reader)).close()
  const members = await Promise.all(identities.map((identity) => RawMember.connect(url, identity)))
  const sent = await Promise.all(
    members.map(async (member) => {
      const items = Array.from({ length: 1024 }, () => message({ to: { kind: 'dm', ref: reader.memberId } }))
      const frames = [0, 256, 512, 768].map((start) => items.slice(start, start + 256))
      for (const frame of frames) member.send({ type: 'send', items: frame })
      const results = []
      while (results.length < items.length) results.push(...(await member.next('send_results')).items)
      return results
    }),
  )
  const results = sent.flat()
  expect(results.every((result) => result.status === 201)).toBe(true)
  const positions = results.map((result) => Number('history_id' in result ? result.history_id : 0))
  expect(positions.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 4096 }, (_, n) => n + 1))
  // Each sender's own messages are in the order in which it sent them.
  for (const own of sent) {
    const order = own.map((result) => Number('history_id' in result ? result.history_id : 0))
    expect(order).toEqual(order.toSorted((x, y) => x - y))
  }
})
