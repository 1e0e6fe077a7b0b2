import net from 'node:net'
import type { Health, OutboxList } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type RunningDaemon, startDaemon } from '../support/daemon-in-process.ts'
import { foundHome } from '../support/home.ts'

const lease = { id: '01JD0000000000000000000000', lease_id: '01JD0000000000000000000000' }
/** Every route that takes a body, with one that it takes. */
const bodies: Readonly<Record<string, unknown>> = {
  '/v1/send': { to: '#a', message: 'x' },
  '/v1/send/batch': [{ to: '#a', message: 'x' }],
  '/v1/topic/post': { topic: 'a', message: 'x' },
  '/v1/topic/subscribe': { topic: 'a' },
  '/v1/topic/unsubscribe': { topic: 'a' },
  '/v1/queue/consume': { queue: 'a' },
  '/v1/queue/leave': { queue: 'a' },
  '/v1/queue/take': { queue: 'a' },
  '/v1/queue/ack': { items: [lease] },
  '/v1/queue/nack': { items: [lease] },
  '/v1/queue/extend': { items: [{ ...lease, lease_ms: 1_000 }] },
  '/v1/queue/requeue': { queue: 'a', ids: ['01JD0000000000000000000000'] },
  '/v1/queue/drop': { queue: 'a', ids: ['01JD0000000000000000000000'] },
  '/v1/inbox/mark': { ids: ['01JD0000000000000000000000'] },
  '/v1/outbox/prune': {},
  '/v1/outbox/01JD0000000000000000000000/requeue': {},
  '/v1/outbox/01JD0000000000000000000000/drop': {},
  '/v1/profile': { summary: 'x' },
  '/v1/heartbeat': { client: 'x' },
}
const reads = [
  '/v1/inbox',
  '/v1/inbox/search',
  '/v1/outbox',
  '/v1/outbox/x',
  '/v1/messages/x',
  '/v1/threads/x',
  '/v1/topic/list',
  '/v1/queue/list',
  '/v1/queue/dead',
  '/v1/peers',
  '/v1/health',
  '/v1/version',
  '/v1/compat',
  '/v1/metrics',
  '/v1/openapi.json',
  '/v1/events',
]

/** What no request of this file may change. */
async function stateOf(daemon: RunningDaemon): Promise<unknown> {
  const { outbox, inbox } = (await daemon.get('/v1/health')).json as Health
  const { rows } = (await daemon.get('/v1/outbox')).json as OutboxList
  const topics = (await daemon.get('/v1/topic/list')).json
  const profile = (await daemon.post('/v1/profile', {})).json
  return { outbox: { ...outbox, oldest_pending_age_ms: null }, inbox, rows, topics, profile }
}

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('every route that takes a body', () => {
  /** Bodies that no route takes, as bytes; each with the codes it may be answered with. */
  const hostile: [name: string, body: string, headers: Record<string, string>, codes: string[]][] = [
    ['nothing', '', {}, ['invalid_json']],
    ['half a document', '{"to":', {}, ['invalid_json']],
    ['two documents', '{} {}', {}, ['invalid_json']],
    ['a comment', '{/**/}', {}, ['invalid_json']],
    ['NaN', '{"to":NaN}', {}, ['invalid_json']],
    ['null', 'null', {}, ['invalid_request']],
    ['a number', '7', {}, ['invalid_request']],
    ['a text', '"x"', {}, ['invalid_request']],
    ['an unknown field', '{"surprise":1}', {}, ['invalid_request']],
    ['__proto__', '{"__proto__":{"to":"#a"}}', {}, ['invalid_json']],
    ['constructor', '{"constructor":{"prototype":{"to":"#a"}}}', {}, ['invalid_json']],
    ['10,000 levels', nested(10_000), {}, ['invalid_request', 'invalid_json']],
    ['10,000 levels in a field', `{"meta":${nested(10_000)}}`, {}, ['invalid_request']],
    ['more than 1 MiB', `"${'x'.repeat(1024 * 1024)}"`, {}, ['body_too_large']],
    [
      'a form',
      'to=%23a&message=x',
      { 'content-type': 'application/x-www-form-urlencoded' },
      ['unsupported_media_type'],
    ],
    ['no type', '{}', { 'content-type': '' }, ['unsupported_media_type']],
    ['a type that is none', '{}', { 'content-type': 'json' }, ['unsupported_media_type']],
    ['text/plain', '{}', { 'content-type': 'text/plain' }, ['unsupported_media_type']],
  ]

  test('answers each of these with a clear 4xx, and nothing changes', async () => {
    const daemon = await startDaemon(foundHome())
    const before = await stateOf(daemon)
    let asked = 0
    for (const path of Object.keys(bodies)) {
      for (const [name, body, headers, codes] of hostile) {
        // Routes without fields of their own take null; a batch takes an array of anything and refuses its items.
        const isTaken =
          (/requeue$|drop$/.test(path) && name === 'null') || (path === '/v1/send/batch' && name === '10,000 levels')
        const answer = await daemon.post(path, body, { 'content-type': 'application/json', ...headers })
        asked += 1
        if (isTaken) continue
        expect([path, name, codes.includes((answer.json as { code: string }).code)]).toEqual([path, name, true])
        expect([path, name, answer.status]).toEqual([path, name, (answer.json as { status: number }).status])
        expect(answer.status).toBeGreaterThanOrEqual(400)
        expect(answer.status).toBeLessThan(500)
        expect((answer.json as { hint: string }).hint).not.toBe('')
        expect(answer.text).not.toMatch(/\bat .*\.(ts|js):\d+/)
      }
    }
    expect(await stateOf(daemon)).toEqual(before)
    console.log(`hostile bodies: ${asked} requests`)
  })

  test('names the field for each field of a wrong type', async () => {
    const daemon = await startDaemon(foundHome())
    const before = await stateOf(daemon)
    const wrong = [7, true, {}, [{}], '\u0000', '\ud800']
    for (const [path, body] of Object.entries(bodies)) {
      for (const field of Object.keys(Array.isArray(body) ? {} : (body as object))) {
        for (const value of wrong) {
          const answer = await daemon.post(path, { ...(body as object), [field]: value })
          if (answer.status < 400) continue
          const problem = answer.json as { code: string; field?: string }
          expect([path, field, value, answer.status]).toEqual([path, field, value, 400])
          expect([path, value, problem.field?.split('/')[0]]).toEqual([path, value, field])
        }
      }
    }
    const after = (await stateOf(daemon)) as { rows: unknown[] }
    expect(after.rows).toEqual((before as { rows: unknown[] }).rows)
  })

  test('gives no answer but 2xx and 4xx to whatever JSON there is', async () => {
    const daemon = await startDaemon(foundHome())
    const paths = fc.constantFrom(...Object.keys(bodies))
    const value = fc.oneof(
      fc.json({ maxDepth: 4 }),
      fc.json().map((text) => `{"to":"#a","message":${text}}`),
    )
    await fc.assert(
      fc.asyncProperty(paths, value, async (path, body) => {
        const answer = await daemon.post(path, body, { 'content-type': 'application/json' })
        expect(answer.status < 500 || answer.status === 507).toBe(true)
      }),
      { numRuns: 300 },
    )
    expect((await daemon.get('/v1/health')).status).toBe(200)
  })
})

describe('every route', () => {
  test('refuses a query parameter it does not know, and names it', async () => {
    const daemon = await startDaemon(foundHome())
    for (const path of reads) {
      const answer = await daemon.get(`${path}?surprise=1`)
      const found = [path, answer.status, answer.json]
      const required = { '/v1/inbox/search': 'q', '/v1/queue/dead': 'queue' }[path] ?? 'surprise'
      const field = expect.stringMatching(new RegExp(`^(surprise|${required})$`))
      expect(found).toMatchObject([path, 400, { code: 'invalid_request', field }])
    }
    for (const [path, body] of Object.entries(bodies)) {
      const answer = await daemon.post(`${path}?surprise=1`, body)
      expect([path, answer.status, answer.json]).toMatchObject([path, 400, { field: 'surprise' }])
    }
  })

  test('answers another method with 405 and says which it takes; an unknown address with 404', async () => {
    const daemon = await startDaemon(foundHome())
    for (const path of Object.keys(bodies)) {
      const answer = await daemon.get(path === '/v1/outbox/prune' ? '/v1/topic/post' : path)
      expect([path, answer.status, answer.json]).toMatchObject([
        path,
        405,
        { code: 'method_not_allowed', allow: 'POST' },
      ])
      expect(answer.headers.allow).toBe('POST')
    }
    for (const path of reads) {
      const answer = await daemon.request({ method: 'PUT', path, body: '{"not json' })
      expect([path, answer.status]).toEqual([path, 405])
      expect(answer.headers.allow).toMatch(/^(GET, HEAD|HEAD, GET|GET)$/)
    }
    for (const path of [
      '/',
      '/v1',
      '/v1/',
      '/v1/send/',
      '/v1/send/x',
      '/V1/send',
      '/v2/send',
      '/v1/../etc/passwd',
      '//',
    ]) {
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
        const answer = await daemon.request({ method, path, ...(method === 'POST' ? { body: '{"not json' } : {}) })
        expect([method, path, answer.status, answer.json]).toMatchObject([method, path, 404, { code: 'not_found' }])
      }
    }
  })

  test('takes HEAD where it takes GET', async () => {
    const daemon = await startDaemon(foundHome())
    const answer = await daemon.request({ method: 'HEAD', path: '/v1/version' })
    expect([answer.status, answer.text]).toEqual([200, ''])
  })

  test('survives paths that are no paths', async () => {
    const daemon = await startDaemon(foundHome())
    for (const path of [
      '/v1/outbox/%',
      '/v1/outbox/%ff',
      '/%zz',
      `/v1/outbox/${'x'.repeat(2000)}`,
      '/v1/messages/%00',
    ]) {
      const answer = await daemon.get(path)
      expect([path, answer.status >= 400 && answer.status < 500]).toEqual([path, true])
      expect(answer.json).toMatchObject({ code: expect.any(String), hint: expect.any(String) })
    }
  })
})

describe('bytes that are no request', () => {
  async function exchange(daemon: RunningDaemon, bytes: string | Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(daemon.daemon.socket)
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString()
      })
      socket.on('close', () => resolve(text))
      socket.on('error', (error: NodeJS.ErrnoException) =>
        error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(text) : reject(error),
      )
      socket.end(bytes)
    })
  }

  const rows: [name: string, bytes: string | Buffer, status: number, code: string][] = [
    ['garbage', 'hello there\r\n\r\n', 400, 'malformed_http'],
    ['TLS', Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), 400, 'malformed_http'],
    ['a header without a colon', 'GET /v1/version HTTP/1.1\r\nHost localhost\r\n\r\n', 400, 'malformed_http'],
    ['headers of 64 KiB', `GET /v1/version HTTP/1.1\r\nX: ${'x'.repeat(65_536)}\r\n\r\n`, 431, 'headers_too_large'],
    [
      'two lengths',
      'POST /v1/send HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
      400,
      'malformed_http',
    ],
    [
      'a length and chunks',
      'POST /v1/send HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'malformed_http',
    ],
  ]
  test.each(rows)('%s', async (_name, bytes, status, code) => {
    const daemon = await startDaemon(foundHome())
    const answer = await exchange(daemon, bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json')
    expect(answer).toContain(`"code":"${code}"`)
    expect((await daemon.get('/v1/version')).status).toBe(200)
  })

  test('an expectation that nobody has', async () => {
    const daemon = await startDaemon(foundHome())
    const answer = await daemon.request({ method: 'GET', path: '/v1/version', headers: { expect: 'miracles' } })
    expect([answer.status, answer.json]).toMatchObject([400, { code: 'malformed_http' }])
  })

  test('a body that is not UTF-8', async () => {
    const daemon = await startDaemon(foundHome())
    const body = Buffer.concat([Buffer.from('{"to":"#a","message":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])
    const head = `POST /v1/send HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
    const answer = await exchange(daemon, Buffer.concat([Buffer.from(head), body]))
    expect(answer).toContain('"code":"invalid_json"')
    expect(((await daemon.get('/v1/outbox')).json as OutboxList).rows).toEqual([])
  })

  test('a body larger than its limit without a length is cut off', async () => {
    const daemon = await startDaemon(foundHome())
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    const head =
      'POST /v1/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
    const answer = await exchange(daemon, head + chunk.repeat(20))
    expect(answer).toContain('"code":"body_too_large"')
  })
})
