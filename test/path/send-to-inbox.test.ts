import type { Message, OutboxDetail, SendResponse, Thread } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'

describe('a message from POST /v1/send to the other inbox', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
  }, 60_000)
  afterAll(() => mesh.end())

  test('everything the caller said of it arrives as it was said', async () => {
    const sent = await alice.send(
      {
        to: '@bob',
        message: 'naïve \u{1f41d} text\nwith lines',
        meta: { pr: 17, nested: { deep: [1, null, 'x'] } },
        contentType: 'text/markdown',
        mentions: ['@bob'],
        priority: 'now',
        client_message_id: 'first',
      },
      '?wait=10000&until=delivered',
    )
    expect(sent).toMatchObject({ status: 200, json: { status: 'done', state: 'delivered', recipient_count: 1 } })
    const [message] = await bob.inbox()
    const sender = (await alice.health())?.member_id
    const recipient = (await bob.health())?.member_id
    expect(message).toMatchObject({
      id: (sent.json as SendResponse).broker_message_id,
      client_message_id: 'first',
      sender,
      sender_name: 'alice',
      destination_kind: 'dm',
      destination_ref: recipient,
      priority: 'now',
      message: 'naïve \u{1f41d} text\nwith lines',
      content_type: 'text/markdown',
      mentions: [recipient],
      opened: true,
      read_at: null,
    })
    expect(message?.meta).toMatchObject({ pr: 17, nested: { deep: [1, null, 'x'] } })
  })

  test('asked for again with the same key it is the same message, and another message under that key is refused', async () => {
    const body = { to: '@bob', message: 'once', client_message_id: 'repeated' }
    const first = await alice.send(body, '?wait=10000&until=delivered')
    const again = await alice.send(body)
    expect(again).toMatchObject({ status: 200, json: { status: 'done', duplicate: true } })
    expect((again.json as SendResponse).outbox_id).toBe((first.json as SendResponse).outbox_id)
    const other = await alice.send({ ...body, message: 'other' })
    expect(other).toMatchObject({
      status: 409,
      json: {
        code: 'idempotency_key_reused',
        conflict: 'outbox_done_fingerprint_mismatch',
        client_message_id: 'repeated',
      },
    })
    expect(other.headers['content-type']).toContain('application/problem+json')
    expect((await bob.inbox()).filter((message) => message.client_message_id === 'repeated')).toHaveLength(1)
  })

  test('fifty requests at once with one key are one row and one message', async () => {
    const body = { to: '@bob', message: 'crowd', client_message_id: 'crowded' }
    const answers = await Promise.all(Array.from({ length: 50 }, () => alice.send(body)))
    expect(new Set(answers.map((answer) => (answer.json as SendResponse).outbox_id)).size).toBe(1)
    expect(answers.every((answer) => answer.status === 202 || answer.status === 200)).toBe(true)
    await alice.drained()
    const found = await eventually('the message arrives', async () => {
      const messages = (await bob.inbox()).filter((message) => message.client_message_id === 'crowded')
      return messages.length > 0 ? messages : null
    })
    expect(found).toHaveLength(1)
  })

  test('a reply makes a thread that both sides can read', async () => {
    const question = await alice.send({ to: '@bob', message: 'is it green?' }, '?wait=10000&until=delivered')
    const root = (question.json as SendResponse).broker_message_id
    const answer = await bob.send({ to: '@alice', message: 'it is', replyToId: root }, '?wait=10000&until=delivered')
    const reply = (answer.json as SendResponse).broker_message_id
    for (const member of [alice, bob]) {
      const thread = (await member.request({ method: 'GET', path: `/v1/threads/${reply}` })).json as Thread
      expect(thread.root).toBe(root)
      expect(thread.messages.map((message) => message.message)).toEqual(['is it green?', 'it is'])
    }
    const single = (await bob.request({ method: 'GET', path: `/v1/messages/${root}` })).json as Message
    expect(single).toMatchObject({ direction: 'received', message: 'is it green?' })
  })

  test('a batch answers each item for itself, in order', async () => {
    const lines = [
      JSON.stringify({ to: '@bob', message: 'batched 1', client_message_id: 'b1' }),
      JSON.stringify({ to: '@nobody-of-that-name', message: 'batched 2' }),
      JSON.stringify({ to: '@bob', message: 'batched 3', client_message_id: 'b1' }),
      JSON.stringify({ to: '@bob', mesage: 'misspelt' }),
    ]
    const { status, json } = await alice.request({
      method: 'POST',
      path: '/v1/send/batch',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    })
    expect(status).toBe(200)
    const { items } = json as { items: { status: number; body: { code?: string } }[] }
    expect(items.map((item) => item.status)).toEqual([202, 404, 409, 400])
    expect(items.map((item) => item.body.code)).toEqual([
      undefined,
      'recipient_unknown',
      'idempotency_key_reused',
      'invalid_request',
    ])
  })

  test('messages of one sender arrive in the order in which they were accepted', async () => {
    const keys = Array.from({ length: 300 }, (_, n) => `ordered-${String(n).padStart(3, '0')}`)
    for (const key of keys) await alice.send({ to: '@bob', message: key, client_message_id: key })
    await alice.drained()
    const arrived = await eventually('all of them are there', async () => {
      const found = (await bob.inbox()).map((message) => message.client_message_id)
      const ordered = found.filter((key) => key.startsWith('ordered-'))
      return ordered.length >= keys.length ? ordered : null
    })
    expect(arrived).toEqual(keys)
  })

  test('a row shows its receipts, and marks are kept', async () => {
    const { outbox_id } = (await alice.send({ to: '@bob', message: 'look' }, '?wait=10000&until=delivered')).json as {
      outbox_id: string
    }
    const row = alice.cli(['daemon', 'outbox', 'show', outbox_id, '--json'])
    const detail = JSON.parse(row) as OutboxDetail
    expect(detail.receipts).toMatchObject([{ state: 'delivered' }])
    const unread = (await bob.inbox()).filter((message) => message.read_at === null)
    const ids = unread.map((message) => message.id)
    const marked = await bob.request({ method: 'POST', path: '/v1/inbox/mark', body: { ids } })
    expect(marked.json).toMatchObject({ marked: ids.length, unknown: [] })
    const left = await bob.request({ method: 'GET', path: '/v1/inbox?unread=true' })
    expect((left.json as { messages: unknown[] }).messages).toEqual([])
  })

  test('words are found in the inbox, whatever characters a person types', async () => {
    await alice.send({ to: '@bob', message: 'the zebra crosses "slowly"' }, '?wait=10000&until=delivered')
    const search = async (q: string) =>
      (
        (await bob.request({ method: 'GET', path: `/v1/inbox/search?q=${encodeURIComponent(q)}` })).json as {
          messages: Message[]
        }
      ).messages
    expect((await search('zebra')).map((message) => message.message)).toEqual(['the zebra crosses "slowly"'])
    for (const q of ['"', '*', 'a AND', 'NEAR(', 'x:y', '(', '-zebra', "'"])
      expect(await search(q)).toBeInstanceOf(Array)
  })
})
