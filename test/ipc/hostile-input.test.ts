/** What no client should send, beyond what hostile-routes.test.ts derives for each route. */
import type { OutboxList } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { startDaemon } from '../support/daemon-in-process.ts'
import { foundHome } from '../support/home.ts'
import { exchange } from '../support/raw-http.ts'

describe('an address', () => {
  test('that is none is 404 for every method', async () => {
    const daemon = await startDaemon(foundHome())
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
})

describe('bytes that are no request', () => {
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
  test('are answered with a problem, and the daemon goes on', async () => {
    const daemon = await startDaemon(foundHome())
    for (const [name, bytes, status, code] of rows) {
      const answer = await exchange(daemon.daemon.socket, bytes)
      expect([name, answer]).toEqual([name, expect.stringMatching(new RegExp(`^HTTP/1.1 ${status} `))])
      expect(answer.toLowerCase()).toContain('content-type: application/problem+json')
      expect(answer).toContain(`"code":"${code}"`)
      expect((await daemon.get('/v1/version')).status).toBe(200)
    }
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
    const answer = await exchange(daemon.daemon.socket, Buffer.concat([Buffer.from(head), body]))
    expect(answer).toContain('"code":"invalid_json"')
    expect(((await daemon.get('/v1/outbox')).json as OutboxList).rows).toEqual([])
  })

  test('a body larger than its limit without a length is cut off', async () => {
    const daemon = await startDaemon(foundHome())
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    const head =
      'POST /v1/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
    const answer = await exchange(daemon.daemon.socket, head + chunk.repeat(20))
    expect(answer).toContain('"code":"body_too_large"')
  })
})
