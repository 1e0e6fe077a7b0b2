/**
 * What a web page in the user's own browser can send to the daemon on 127.0.0.1: every route that there is, by every
 * request that a browser makes without asking first, and by the questions it asks (preflights). The page has no token; it
 * gets nothing to read, and nothing changes.
 */
import type { OutboxList } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { type DaemonRequest, type RunningDaemon, startDaemon } from '../support/daemon-in-process.ts'
import { type OpenApiDocument, type Route, routesOf } from '../support/described-routes.ts'
import { foundHome } from '../support/home.ts'
import { exchange, readAnswers } from '../support/raw-http.ts'
import { fitting } from '../support/schema-faults.ts'

const page = 'https://page.example'
const withoutToken = { authorization: null }

/** A request of a page, for each way in which it can be made. */
function attempts(route: Route, port: number): readonly (readonly [what: string, request: DaemonRequest])[] {
  const { method, path } = route
  const schema = route.bodies.get('application/json')
  const body = schema === undefined ? {} : { body: JSON.stringify(fitting(schema)) }
  const own = { host: `127.0.0.1:${port}` }
  const of = (headers: Readonly<Record<string, string>>, more: object = body): DaemonRequest => ({
    method,
    path,
    headers: { ...withoutToken, ...own, ...headers },
    ...more,
  })
  const json = { 'content-type': 'application/json' }
  return [
    // Sent without asking: forms, images, `fetch` with `no-cors`.
    ['as plain text', of({ origin: page, 'content-type': 'text/plain;charset=UTF-8' })],
    ['as a form', of({ origin: page, 'content-type': 'application/x-www-form-urlencoded' })],
    ['as a form of several parts', of({ origin: page, 'content-type': 'multipart/form-data; boundary=x' })],
    ['from a sandboxed frame', of({ origin: 'null', 'content-type': 'text/plain' })],
    ['without an origin, as images and old browsers do', of({ referer: `${page}/`, ...json })],
    ['as a navigation', of({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', accept: 'text/html' })],
    // From a name that the page's own server points to 127.0.0.1 once the page is loaded: to the browser, one origin.
    ['under a name of its own', of({ host: 'page.example', origin: 'http://page.example', ...json })],
    ['under a name of its own, without an origin', of({ host: `page.example:${port}`, ...json })],
    // From another program of this machine that serves pages, or from a page of the daemon itself.
    ['from another port', of({ origin: 'http://localhost:3000', ...json })],
    ['as if from the daemon', of({ origin: `http://127.0.0.1:${port}`, ...json })],
    // With something that the browser adds by itself.
    ['with a cookie', of({ origin: page, cookie: 'local_token=x; token=x', ...json })],
    ['with a password', of({ origin: page, authorization: 'Basic dG9rZW46dG9rZW4=', ...json })],
    // What the browser asks before it sends more than that.
    [
      'as a preflight',
      {
        method: 'OPTIONS',
        path,
        headers: {
          ...withoutToken,
          ...own,
          origin: page,
          'access-control-request-method': method,
          'access-control-request-headers': 'authorization,content-type',
          'access-control-request-private-network': 'true',
        },
      },
    ],
    [
      'as a WebSocket',
      {
        method: 'GET',
        path,
        headers: {
          ...withoutToken,
          ...own,
          origin: page,
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        },
      },
    ],
  ]
}

test('nothing that a web page can send to any route is taken or answered with anything of use', async () => {
  const daemon = await startDaemon(foundHome(), { flags: { 'ipc.tcp': 'on' } })
  await daemon.post('/v1/send', { to: '#a', message: 'there already', client_message_id: 'there' })
  const before = await stateOf(daemon)
  const routes = routesOf((await daemon.get('/v1/openapi.json')).json as OpenApiDocument)
  let asked = 0
  for (const route of routes) {
    for (const [what, request] of attempts(route, daemon.port())) {
      const answer = await daemon.tcp(request)
      asked += 1
      const where = `${route.method} ${route.template} ${what}`
      expect([where, answer.status]).toEqual([where, expect.toSatisfy((status) => status === 401 || status === 403)])
      expect([where, answer.json]).toMatchObject([where, { code: expect.any(String), hint: expect.any(String) }])
      // No answer tells a browser that the page may read it, ask further, or run it as something else.
      const telling = Object.keys(answer.headers).filter((name) => /^(access-control-|set-cookie|location)/.test(name))
      expect([where, telling]).toEqual([where, []])
      expect(answer.text).not.toContain(page)
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    }
  }
  expect(await stateOf(daemon)).toEqual(before)
  expect(routes.length).toBeGreaterThan(30)
  console.log(`requests of a web page: ${asked} to ${routes.length} routes`)
})

test('a host that is not certainly this machine is refused, the token notwithstanding', async () => {
  const daemon = await startDaemon(foundHome(), { flags: { 'ipc.tcp': 'on' } })
  const hosts = [
    'page.example',
    '127.0.0.1.page.example',
    'localhost.page.example',
    'localhost.',
    'localhost@page.example',
    'page.example@localhost',
    'page.example#localhost',
    'localhost,page.example',
    'localhost page.example',
    '127.1',
    '127.0.0.2',
    '2130706433',
    '0x7f000001',
    '0.0.0.0',
    '[::]',
    '[::ffff:127.0.0.1]',
    '::1',
    'localhost:',
    'localhost:port',
    'localhost:123456',
    '',
  ]
  for (const host of hosts) {
    const answer = await daemon.tcp({ method: 'GET', path: '/v1/version', headers: { host } })
    expect([host, answer.status, answer.json]).toMatchObject([host, 403, { code: 'forbidden_host' }])
  }
})

test('the address in the request line stands for nothing, and two hosts are not one', async () => {
  const daemon = await startDaemon(foundHome(), { flags: { 'ipc.tcp': 'on' } })
  const token = `Authorization: Bearer ${daemon.token()}`
  const rows: readonly (readonly [what: string, head: readonly string[], statuses: readonly number[]])[] = [
    ['another host in the line', ['GET http://page.example/v1/version HTTP/1.1', 'Host: page.example', token], [403]],
    ['a good host in the line alone', ['GET http://localhost/v1/version HTTP/1.1', 'Host: page.example', token], [403]],
    ['two hosts', ['GET /v1/version HTTP/1.1', 'Host: page.example', 'Host: localhost', token], [400, 403]],
    ['no host, in the old protocol', ['GET /v1/version HTTP/1.0', token], [403]],
    ['a proxy’s host', ['GET /v1/version HTTP/1.1', 'Host: page.example', 'X-Forwarded-Host: localhost', token], [403]],
    [
      'a method in a header',
      ['GET /v1/send HTTP/1.1', 'Host: localhost', 'X-HTTP-Method-Override: POST', token],
      [405],
    ],
  ]
  for (const [what, head, statuses] of rows) {
    const read = await exchange({ host: '127.0.0.1', port: daemon.port() }, [...head, '', ''].join('\r\n'))
    const [answer] = readAnswers(read)
    expect([what, statuses]).toEqual([what, expect.arrayContaining([answer?.status])])
  }
})

async function stateOf(daemon: RunningDaemon): Promise<unknown> {
  const { rows } = (await daemon.get('/v1/outbox')).json as OutboxList
  return {
    rows,
    topics: (await daemon.get('/v1/topic/list')).json,
    identity: (await daemon.get('/v1/identity')).json,
    token: daemon.token(),
  }
}
