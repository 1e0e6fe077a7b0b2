import type { InboxPage, OutboxDetail, OutboxList, SendResponse, Thread } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { Inbox } from '../../apps/daemon/src/inbox/inbox.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { type RunningDaemon, startDaemon } from '../support/daemon-in-process.ts'
import { foundHome, type TestHome } from '../support/home.ts'
import { type DraftFields, draftOf, memberIdOf, messageIdOf } from '../support/inbox-drafts.ts'

/** Puts messages where deliveries would have put them, before the daemon opens its files. */
function receive(host: TestHome, messages: readonly DraftFields[]): void {
  const { inbox } = Inbox.open({ path: host.paths.inboxDatabase, runtime: systemRuntime() })
  inbox.store(messages.map(draftOf))
  inbox.close()
}

async function sendOne(daemon: RunningDaemon, body: Record<string, unknown> = {}): Promise<SendResponse> {
  const answer = await daemon.post('/v1/send', { to: '#builds', message: 'green', ...body })
  expect([answer.status, answer.text]).toEqual([202, answer.text])
  return answer.json as SendResponse
}

describe('POST /v1/send', () => {
  test('a new send is 202 queued, and its row is there', async () => {
    const daemon = await startDaemon(foundHome())
    const answer = await daemon.post('/v1/send', {
      to: '#builds',
      message: 'green',
      priority: 'now',
      meta: { build: 7 },
      contentType: 'text/plain',
      client_message_id: 'build-7',
    })
    expect(answer.status).toBe(202)
    expect(answer.headers['content-type']).toMatch(/^application\/json/)
    const { outbox_id: outboxId } = answer.json as SendResponse
    expect(answer.json).toEqual({
      status: 'queued',
      state: 'queued',
      client_message_id: 'build-7',
      outbox_id: outboxId,
    })
    const detail = (await daemon.get('/v1/outbox/build-7')).json as OutboxDetail
    expect(detail.row).toMatchObject({ id: outboxId, status: 'pending', priority: 'now', destination_ref: 'builds' })
    expect(detail.chain.map((row) => row.id)).toEqual([outboxId])
    expect((await daemon.get(`/v1/outbox/${outboxId}`)).json).toEqual(detail)
  })

  test('the Idempotency-Key header wins over the field, bare or quoted', async () => {
    const daemon = await startDaemon(foundHome())
    const body = { to: '#builds', message: 'green', client_message_id: 'field' }
    const bare = await daemon.post('/v1/send', body, { 'idempotency-key': 'header' })
    expect(bare.json).toMatchObject({ client_message_id: 'header' })
    const quoted = await daemon.post('/v1/send', body, { 'idempotency-key': '"header"' })
    expect(quoted.json).toMatchObject({
      client_message_id: 'header',
      outbox_id: (bare.json as SendResponse).outbox_id,
    })
    for (const key of ['', '"open', 'two words', 'x'.repeat(256)]) {
      const refused = await daemon.post('/v1/send', body, { 'idempotency-key': key })
      expect([key, refused.status, refused.json]).toMatchObject([key, 400, { code: 'invalid_client_message_id' }])
    }
  })

  test('the same key with another message is a 409 that says what the key is bound to', async () => {
    const daemon = await startDaemon(foundHome())
    await sendOne(daemon, { client_message_id: 'k' })
    const again = await sendOne(daemon, { client_message_id: 'k' })
    expect(again.status).toBe('queued')
    const other = await daemon.post('/v1/send', { to: '#builds', message: 'red', client_message_id: 'k' })
    expect(other.status).toBe(409)
    expect(other.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(other.json).toMatchObject({
      code: 'idempotency_key_reused',
      conflict: 'outbox_pending_fingerprint_mismatch',
      client_message_id: 'k',
      daemon_fingerprint_prefix: expect.stringMatching(/^[0-9a-f]{16}$/),
    })
  })

  test('many at once with one key make one row', async () => {
    const daemon = await startDaemon(foundHome())
    const answers = await Promise.all(Array.from({ length: 64 }, () => sendOne(daemon, { client_message_id: 'k' })))
    expect(new Set(answers.map((answer) => answer.outbox_id)).size).toBe(1)
    expect(((await daemon.get('/v1/outbox')).json as OutboxList).rows).toHaveLength(1)
  })

  test('wait answers when the time is over with what is proven then', async () => {
    const daemon = await startDaemon(foundHome())
    const begun = performance.now()
    const answer = await daemon.post('/v1/send?wait=150&until=accepted', { to: '#builds', message: 'x' })
    expect(performance.now() - begun).toBeGreaterThanOrEqual(140)
    expect([answer.status, answer.json]).toMatchObject([202, { state: 'queued' }])
  })

  test('a queue is taken at its word: whoever does the work may come later', async () => {
    const daemon = await startDaemon(foundHome())
    const answer = await daemon.post('/v1/send', { to: 'queue:jobs', message: 'x', client_message_id: 'job' })
    expect([answer.status, answer.json]).toMatchObject([202, { state: 'queued' }])
    const detail = (await daemon.get('/v1/outbox/job')).json as OutboxDetail
    expect(detail.row).toMatchObject({ destination_kind: 'queue', destination_ref: 'jobs', status: 'pending' })
  })

  test('POST /v1/topic/post takes a topic with or without #', async () => {
    const daemon = await startDaemon(foundHome())
    for (const topic of ['builds', '#builds']) {
      const answer = await daemon.post('/v1/topic/post', { topic, message: 'x' })
      expect(answer.status).toBe(202)
    }
    const { rows } = (await daemon.get('/v1/outbox')).json as OutboxList
    expect(rows.map((row) => [row.destination_kind, row.destination_ref])).toEqual([
      ['topic', 'builds'],
      ['topic', 'builds'],
    ])
    const refused = await daemon.post('/v1/topic/post', { topic: 'No Topic', message: 'x' })
    expect([refused.status, refused.json]).toMatchObject([400, { code: 'invalid_destination', field: 'topic' }])
  })
})

describe('POST /v1/send/batch', () => {
  const items = [
    { to: '#a', message: '1', client_message_id: 'one' },
    { to: '#a', mesage: '2' },
    'no object',
    { to: 'queue:No Queue', message: '4' },
    { to: '#a', message: 'other', client_message_id: 'one' },
    { to: '#a', message: '1', client_message_id: 'one' },
    { to: 'Not An Address', message: '7' },
    { to: '#a', message: '8' },
  ]
  const expected = [
    [202, { status: 'queued', client_message_id: 'one' }],
    [400, { code: 'invalid_request', field: 'message' }],
    [400, { code: 'invalid_request', field: 'body' }],
    [400, { code: 'invalid_destination', field: 'to' }],
    [409, { code: 'idempotency_key_reused', conflict: 'outbox_pending_fingerprint_mismatch' }],
    [202, { status: 'queued', client_message_id: 'one' }],
    [400, { code: 'invalid_destination', field: 'to' }],
    [202, { status: 'queued' }],
  ]
  const read = (json: unknown) =>
    (json as { items: { status: number; body: unknown }[] }).items.map(({ status, body }) => [status, body])

  test('each item of an array has its own answer, in order; a bad one fails nothing else', async () => {
    const daemon = await startDaemon(foundHome())
    const answer = await daemon.post('/v1/send/batch', items)
    expect(answer.status).toBe(200)
    expect(read(answer.json)).toMatchObject(expected)
    expect(((await daemon.get('/v1/outbox')).json as OutboxList).rows).toHaveLength(2)
  })

  test('the same by lines, where a line that is no JSON is the error of that item', async () => {
    const daemon = await startDaemon(foundHome())
    const lines = [...items.map((item) => JSON.stringify(item)), '{"to": "#a", ', '']
    const answer = await daemon.post('/v1/send/batch', lines.join('\n'), { 'content-type': 'application/x-ndjson' })
    expect(answer.status).toBe(200)
    expect(read(answer.json)).toMatchObject([...expected, [400, { code: 'invalid_json' }]])
  })

  test('what is wrong with the whole batch is a 4xx', async () => {
    const daemon = await startDaemon(foundHome())
    const one = { to: '#a', message: 'x' }
    const rows: [body: unknown, headers: Record<string, string>, status: number, code: string][] = [
      [[], {}, 400, 'invalid_request'],
      [one, {}, 400, 'invalid_request'],
      [Array.from({ length: 257 }, () => one), {}, 400, 'invalid_request'],
      [[one], { 'idempotency-key': 'k' }, 400, 'invalid_request'],
      ['', { 'content-type': 'application/x-ndjson' }, 400, 'invalid_request'],
      ['{"to":"#a"}', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
    ]
    for (const [body, headers, status, code] of rows) {
      const answer = await daemon.post('/v1/send/batch', body, headers)
      expect([answer.status, answer.json]).toMatchObject([status, { code }])
    }
    expect(((await daemon.get('/v1/outbox')).json as OutboxList).rows).toEqual([])
    expect(
      (
        await daemon.post(
          '/v1/send/batch',
          Array.from({ length: 256 }, () => one),
        )
      ).status,
    ).toBe(200)
  })

  test('newline-delimited JSON is for batches alone', async () => {
    const daemon = await startDaemon(foundHome())
    const answer = await daemon.post('/v1/send', '{"to":"#a","message":"x"}', {
      'content-type': 'application/x-ndjson',
    })
    expect([answer.status, answer.json]).toMatchObject([415, { code: 'unsupported_media_type' }])
  })
})

describe('the outbox', () => {
  test('pages come newest first, by status, and end', async () => {
    const daemon = await startDaemon(foundHome())
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.unshift((await sendOne(daemon, { message: `${n}` })).outbox_id)
    const first = (await daemon.get('/v1/outbox?limit=2')).json as OutboxList
    expect(first.rows.map((row) => row.id)).toEqual(ids.slice(0, 2))
    const second = (await daemon.get(`/v1/outbox?limit=3&after=${first.next}`)).json as OutboxList
    expect([second.rows.map((row) => row.id), second.next]).toEqual([ids.slice(2), null])
    expect((await daemon.get('/v1/outbox?status=dead')).json).toEqual({ rows: [], next: null })
    const unknown = await daemon.get('/v1/outbox?after=01JD0000000000000000000000')
    expect([unknown.status, unknown.json]).toMatchObject([400, { code: 'invalid_cursor', field: 'after' }])
  })

  test('requeue links the old row with the new one; drop ends a row; both refuse what has ended', async () => {
    const daemon = await startDaemon(foundHome())
    const sent = await sendOne(daemon, { client_message_id: 'first' })
    const requeued = await daemon.post(`/v1/outbox/${sent.outbox_id}/requeue`, { new_client_id: 'second' })
    expect([requeued.status, requeued.json]).toMatchObject([
      200,
      { old: { status: 'aborted', aborted_by: 'operator' }, new: { status: 'pending', client_message_id: 'second' } },
    ])
    const { row, chain } = (await daemon.get('/v1/outbox/second')).json as OutboxDetail
    expect(chain.map((each) => each.client_message_id)).toEqual(['first', 'second'])
    const again = await daemon.post(`/v1/outbox/${sent.outbox_id}/requeue`)
    expect([again.status, again.json]).toMatchObject([409, { code: 'outbox_row_not_operable' }])
    const withoutBody = await daemon.post(`/v1/outbox/${row.id}/requeue`)
    expect([withoutBody.status, withoutBody.json]).toMatchObject([200, { new: { status: 'pending' } }])
    const newest = (withoutBody.json as { new: { id: string } }).new.id
    expect((await daemon.post(`/v1/outbox/${newest}/drop`)).json).toMatchObject({ row: { status: 'aborted' } })
    expect((await daemon.post(`/v1/outbox/${newest}/drop`, {})).status).toBe(409)
    const unknown = await daemon.post('/v1/outbox/01JD0000000000000000000000/drop')
    expect([unknown.status, unknown.json]).toMatchObject([404, { code: 'outbox_row_unknown' }])
    expect((await daemon.post('/v1/outbox/prune', {})).json).toEqual({ pruned: 3 })
  })

  test('an unknown key is 404, also one with every character a key may have', async () => {
    const daemon = await startDaemon(foundHome())
    const key = '!"#$%&\'()*+,-./0:;<=>?@A[\\]^_`a{|}~'
    const path = `/v1/outbox/${encodeURIComponent(key)}`
    expect((await daemon.get(path)).json).toMatchObject({ code: 'outbox_row_unknown', client_message_id: key })
    await sendOne(daemon, { client_message_id: key })
    expect((await daemon.get(path)).json).toMatchObject({ row: { client_message_id: key } })
    const longest = '%'.repeat(255)
    await sendOne(daemon, { client_message_id: longest })
    expect((await daemon.get(`/v1/outbox/${encodeURIComponent(longest)}`)).status).toBe(200)
  })
})

describe('the inbox', () => {
  const messages: readonly DraftFields[] = [
    { n: 1, from: 'alice', body: 'the build failed' },
    { n: 2, from: 'bob', body: 'which build?', replyTo: 1 },
    { n: 3, from: 'alice', topic: 'builds', body: 'build 7 is green' },
    { n: 4, from: 'bob', body: null },
  ]
  const ids = (json: unknown) => (json as InboxPage).messages.map((message) => message.id)

  test('pages, filters, order and search', async () => {
    const host = foundHome()
    receive(host, messages)
    const daemon = await startDaemon(host)
    const rows: [query: string, ns: number[]][] = [
      ['', [4, 3, 2, 1]],
      ['?order=oldest', [1, 2, 3, 4]],
      [`?from=${memberIdOf('alice')}`, [3, 1]],
      ['?topic=builds', [3]],
      ['?topic=%23builds', [3]],
      [`?after=${messageIdOf(3)}`, [2, 1]],
      ['?unread=true', [4, 3, 2, 1]],
      [`?since=${Date.now() + 60_000}`, []],
    ]
    for (const [query, ns] of rows) {
      expect([query, ids((await daemon.get(`/v1/inbox${query}`)).json)]).toEqual([query, ns.map(messageIdOf)])
    }
    const page = (await daemon.get('/v1/inbox?limit=3')).json as InboxPage
    expect(page.next).toBe(messageIdOf(2))
    expect(ids((await daemon.get('/v1/inbox/search?q=build')).json)).toEqual([3, 2, 1].map(messageIdOf))
    expect(ids((await daemon.get('/v1/inbox/search?q=%22build%20failed%22')).json)).toEqual([messageIdOf(1)])
    const sealed = page.messages[0]
    expect(sealed).toMatchObject({ id: messageIdOf(4), opened: false, message: null })
  })

  test('marking read is counted and undone', async () => {
    const host = foundHome()
    receive(host, messages)
    const daemon = await startDaemon(host)
    const unknown = '01JD0000000000000000000000'
    const body = { ids: [messageIdOf(1), messageIdOf(2), unknown] }
    expect((await daemon.post('/v1/inbox/mark', body)).json).toEqual({ marked: 2, unknown: [unknown] })
    expect((await daemon.post('/v1/inbox/mark', body)).json).toEqual({ marked: 0, unknown: [unknown] })
    expect(ids((await daemon.get('/v1/inbox?unread=true')).json)).toEqual([4, 3].map(messageIdOf))
    expect((await daemon.get('/v1/health')).json).toMatchObject({ inbox: { messages: 4, unread: 2 } })
    await daemon.post('/v1/inbox/mark', { ids: [messageIdOf(1)], read: false })
    expect(ids((await daemon.get('/v1/inbox?unread=true')).json)).toEqual([4, 3, 1].map(messageIdOf))
  })

  test('one message and its thread', async () => {
    const host = foundHome()
    receive(host, messages)
    const daemon = await startDaemon(host)
    expect((await daemon.get(`/v1/messages/${messageIdOf(1)}`)).json).toMatchObject({
      direction: 'received',
      message: 'the build failed',
      sender: memberIdOf('alice'),
      sender_name: null,
    })
    const thread = (await daemon.get(`/v1/threads/${messageIdOf(2)}`)).json as Thread
    expect([thread.root, thread.messages.map((each) => each.id), thread.truncated]).toEqual([
      messageIdOf(1),
      [1, 2].map(messageIdOf),
      false,
    ])
    for (const path of ['/v1/messages/x', `/v1/threads/${messageIdOf(9)}`]) {
      const answer = await daemon.get(path)
      expect([answer.status, answer.json]).toMatchObject([404, { code: 'message_unknown' }])
    }
  })

  test('a filter by a name that nobody has, and a cursor that is none, are told', async () => {
    const daemon = await startDaemon(foundHome())
    const rows: [query: string, status: number, code: string, field: string][] = [
      ['from=nobody', 404, 'recipient_unknown', 'from'],
      ['from=%23topic', 400, 'invalid_destination', 'from'],
      ['topic=No%20Topic', 400, 'invalid_destination', 'topic'],
      ['after=zzz', 400, 'invalid_cursor', 'after'],
    ]
    for (const [query, status, code, field] of rows) {
      const answer = await daemon.get(`/v1/inbox?${query}`)
      expect([query, answer.status, answer.json]).toMatchObject([query, status, { code, field }])
    }
  })
})

describe('topics, peers and profile without a broker', () => {
  test('the wish is kept and said to be unconfirmed, also across a restart', async () => {
    const host = foundHome()
    const daemon = await startDaemon(host)
    const wish = { name: 'builds', wanted: true, subscribed: false, subscribers: null }
    expect((await daemon.post('/v1/topic/subscribe', { topic: '#builds' })).json).toEqual(wish)
    expect((await daemon.post('/v1/topic/subscribe', { topic: 'builds' })).json).toEqual(wish)
    await daemon.close()
    const next = await startDaemon(host)
    expect((await next.get('/v1/topic/list')).json).toEqual({ topics: [wish], synced_at: null })
    expect((await next.post('/v1/topic/unsubscribe', { topic: 'builds' })).json).toMatchObject({ wanted: false })
  })

  test('a profile is changed field by field', async () => {
    const daemon = await startDaemon(foundHome())
    await daemon.post('/v1/profile', { summary: 'reviews', visible: false })
    const answer = await daemon.post('/v1/profile', { status: 'busy' })
    expect(answer.json).toEqual({ summary: 'reviews', status: 'busy', visible: false })
    expect((await daemon.get('/v1/peers')).json).toEqual({ peers: [], synced_at: null })
  })
})

describe('what the daemon says of itself', () => {
  test('health, version, compat, heartbeat and metrics', async () => {
    const host = foundHome()
    const daemon = await startDaemon(host)
    expect((await daemon.get('/v1/health')).json).toMatchObject({
      status: 'ok',
      conditions: [{ code: 'link_connecting', severity: 'info' }],
      mesh: 'home',
      member_id: host.meshFile.memberId,
      name: 'founder',
      pid: process.pid,
      socket: host.paths.socket,
      link: { state: 'connecting', connected: false, broker_url: 'ws://127.0.0.1:9' },
      outbox: { pending: 0, max_age_hours: 144 },
      disk: { pressure: expect.any(String) },
      versions: { daemon: '0.1.0', schemas: { outbox: 5, inbox: 5, members: 5, events: 2 } },
    })
    expect((await daemon.get('/v1/version')).json).toMatchObject({ version: '0.1.0', protocol: 'claudemesh.v1' })
    expect((await daemon.get('/v1/compat')).json).toMatchObject({ api: expect.arrayContaining(['POST /v1/send']) })
    expect((await daemon.post('/v1/heartbeat', { client: 'test' })).json).toEqual({ now: expect.any(Number) })
    await daemon.get('/v1/nowhere')
    const metrics = await daemon.get('/v1/metrics')
    expect(metrics.headers['content-type']).toMatch(/^text\/plain/)
    for (const line of [
      'cm_daemon_info{version="0.1.0"} 1',
      'cm_daemon_outbox_rows{status="pending"} 0',
      'cm_daemon_link_connected 0',
      'cm_daemon_problems_total{code="not_found"} 1',
      'cm_daemon_http_requests_total{route="/v1/health",status="2xx"} 1',
    ]) {
      expect(metrics.text.split('\n')).toContain(line)
    }
    for (const line of metrics.text.split('\n')) expect(line).toMatch(/^($|# |cm_daemon_)/)
  })

  test('the OpenAPI document names the headers that routes read, and the type of the stream', async () => {
    const daemon = await startDaemon(foundHome())
    const { paths } = (await daemon.get('/v1/openapi.json')).json as {
      paths: Record<string, Record<string, { parameters: object[]; responses: Record<string, { content: object }> }>>
    }
    const header = (name: string) => expect.objectContaining({ in: 'header', name, required: false })
    for (const path of ['/v1/send', '/v1/topic/post']) {
      expect([path, paths[path]?.['post']?.parameters]).toEqual([
        path,
        expect.arrayContaining([header('Idempotency-Key')]),
      ])
    }
    const { parameters, responses } = paths['/v1/events']?.['get'] ?? { parameters: [], responses: {} }
    expect(parameters).toEqual(expect.arrayContaining([header('Last-Event-ID')]))
    expect(parameters).toContainEqual(
      expect.objectContaining({ name: 'since', schema: expect.objectContaining({ pattern: '^[0-9]{1,15}$' }) }),
    )
    expect(responses['200']?.content).toEqual({ 'text/event-stream': { schema: { type: 'string' } } })
  })

  test('the OpenAPI document describes every route that the daemon names', async () => {
    const daemon = await startDaemon(foundHome())
    const document = (await daemon.get('/v1/openapi.json')).json as {
      openapi: string
      paths: Record<string, Record<string, { summary?: string; responses: Record<string, unknown> }>>
    }
    expect(document.openapi).toBe('3.1.0')
    const { api } = (await daemon.get('/v1/compat')).json as { api: string[] }
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    )
    expect(described.filter((route) => !route.startsWith('HEAD ')).sort()).toEqual([...api].sort())
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const operation of Object.values(operations)) {
        expect([path, Object.keys(operation.responses)]).toEqual([path, expect.arrayContaining(['default'])])
        expect([path, operation.summary]).toEqual([path, expect.any(String)])
      }
    }
  })
})

describe('work queues without a broker', () => {
  const lease = { id: messageIdOf(1), lease_id: messageIdOf(2) }
  const calls: readonly (readonly [string, unknown])[] = [
    ['consume', { queue: 'jobs' }],
    ['leave', { queue: 'queue:jobs' }],
    ['take', { queue: 'jobs', wait_ms: 30_000 }],
    ['ack', { items: [lease] }],
    ['nack', { items: [{ ...lease, delay_ms: 0, reason: 'later' }] }],
    ['extend', { items: [{ ...lease, lease_ms: 60_000 }] }],
    ['requeue', { queue: 'jobs', ids: [lease.id] }],
    ['drop', { queue: 'jobs', ids: [lease.id] }],
  ]
  test('every call says that the broker cannot be reached', async () => {
    const daemon = await startDaemon(foundHome())
    for (const [operation, body] of calls) {
      const answer = await daemon.post(`/v1/queue/${operation}`, body)
      expect([operation, answer.status, answer.json]).toMatchObject([operation, 503, { code: 'broker_unavailable' }])
    }
    for (const path of ['/v1/queue/list', '/v1/queue/dead?queue=jobs']) {
      expect([path, (await daemon.get(path)).json]).toMatchObject([path, { code: 'broker_unavailable' }])
    }
  })

  test('what is no name of a queue is refused, naming the field', async () => {
    const daemon = await startDaemon(foundHome())
    const answer = await daemon.post('/v1/queue/take', { queue: 'No Queue' })
    expect([answer.status, answer.json]).toMatchObject([400, { code: 'invalid_destination', field: 'queue' }])
    const page = await daemon.get('/v1/queue/list?after=No+Queue')
    expect([page.status, page.json]).toMatchObject([400, { code: 'invalid_destination', field: 'after' }])
  })
})
