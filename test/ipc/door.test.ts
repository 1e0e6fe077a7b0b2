import { lstatSync, statSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type DaemonRequest, startDaemon } from '../support/daemon-in-process.ts'
import { foundHome } from '../support/home.ts'

const overTcp = { flags: { 'ipc.tcp': 'on' } }

describe('over TCP', () => {
  test('a request needs a loopback host, no foreign origin, the token, and not in the query', async () => {
    const daemon = await startDaemon(foundHome(), overTcp)
    const get = { method: 'GET', path: '/v1/inbox' }
    const rows: [request: DaemonRequest, status: number, code: string][] = [
      [{ ...get, headers: { authorization: null } }, 401, 'unauthorized'],
      [{ ...get, headers: { authorization: 'Bearer wrong' } }, 401, 'unauthorized'],
      [{ ...get, headers: { authorization: `Basic ${daemon.token()}` } }, 401, 'unauthorized'],
      [{ ...get, headers: { host: 'evil.example' } }, 403, 'forbidden_host'],
      [{ ...get, headers: { host: 'localhost.evil.example:80' } }, 403, 'forbidden_host'],
      [{ ...get, headers: { host: null } }, 403, 'forbidden_host'],
      [{ ...get, headers: { origin: 'http://evil.example' } }, 403, 'forbidden_origin'],
      [{ ...get, headers: { origin: 'null' } }, 403, 'forbidden_origin'],
      [{ ...get, headers: { origin: `http://127.0.0.1:${daemon.port()}` } }, 403, 'forbidden_origin'],
      [{ ...get, path: `/v1/inbox?token=${daemon.token()}` }, 400, 'token_in_query'],
      [{ ...get, path: '/v1/inbox?token=x', headers: { authorization: null } }, 400, 'token_in_query'],
      [{ ...get, path: '/v1/inbox?limit=1&%74oken=x' }, 400, 'token_in_query'],
    ]
    for (const [request, status, code] of rows) {
      const answer = await daemon.tcp(request)
      expect([request, answer.status, answer.json]).toMatchObject([request, status, { code }])
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
    }
    for (const host of ['localhost', '127.0.0.1', '[::1]', `LOCALHOST:${daemon.port()}`]) {
      expect([host, (await daemon.tcp({ ...get, headers: { host } })).status]).toEqual([host, 200])
    }
  })

  test('every address needs the token: known, unknown, of another method, and the health check', async () => {
    const daemon = await startDaemon(foundHome(), overTcp)
    const rows: [method: string, path: string][] = [
      ['GET', '/v1/health'],
      ['HEAD', '/v1/health'],
      ['GET', '/v1/metrics'],
      ['GET', '/v1/openapi.json'],
      ['GET', '/v1/events'],
      ['POST', '/v1/send'],
      ['DELETE', '/v1/send'],
      ['OPTIONS', '/v1/send'],
      ['GET', '/v1/nowhere'],
      ['GET', '/'],
    ]
    for (const [method, path] of rows) {
      const answer = await daemon.tcp({ method, path, headers: { authorization: null } })
      expect([method, path, answer.status]).toEqual([method, path, 401])
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
    }
  })

  test('a page of an allowed origin needs the token as well, and gets no CORS headers', async () => {
    const daemon = await startDaemon(foundHome(), {
      flags: { ...overTcp.flags, 'ipc.allowed_origins': 'http://localhost:3000' },
    })
    const origin = 'http://localhost:3000'
    const answer = await daemon.tcp({ method: 'GET', path: '/v1/version', headers: { origin } })
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
    const without = await daemon.tcp({ method: 'GET', path: '/v1/version', headers: { origin, authorization: null } })
    expect(without.status).toBe(401)
    const preflight = await daemon.tcp({
      method: 'OPTIONS',
      path: '/v1/send',
      headers: { origin, 'access-control-request-method': 'POST' },
    })
    expect([preflight.status, preflight.json]).toMatchObject([405, { code: 'method_not_allowed' }])
  })

  test('public_health_check opens the health check alone, and only to loopback names', async () => {
    const daemon = await startDaemon(foundHome(), { flags: { ...overTcp.flags, 'ipc.public_health_check': 'true' } })
    const ask = (path: string, headers: Record<string, string | null> = {}) =>
      daemon.tcp({ method: 'GET', path, headers: { authorization: null, ...headers } })
    expect((await ask('/v1/health')).json).toMatchObject({
      conditions: expect.arrayContaining([expect.objectContaining({ code: 'less_safe_setting', severity: 'info' })]),
    })
    expect((await ask('/v1/version')).status).toBe(401)
    expect((await ask('/v1/health', { host: 'evil.example' })).status).toBe(403)
    expect((await ask('/v1/health', { origin: 'http://evil.example' })).status).toBe(403)
  })

  test('the token is never logged, and a token in a query is', async () => {
    const daemon = await startDaemon(foundHome(), overTcp)
    await daemon.tcp({ method: 'GET', path: `/v1/inbox?token=${daemon.token()}` })
    await daemon.tcp({ method: 'GET', path: '/v1/inbox' })
    const lines = daemon.logLines()
    expect(JSON.stringify(lines)).not.toContain(daemon.token())
    expect(lines).toContainEqual(expect.objectContaining({ event: 'request_refused', code: 'token_in_query' }))
  })

  test('it listens on 127.0.0.1 alone, and a port that is taken costs only TCP', async () => {
    const daemon = await startDaemon(foundHome(), overTcp)
    const port = String(daemon.port())
    const second = await startDaemon(foundHome(), { flags: { 'ipc.tcp': 'on', 'ipc.http_port': port } })
    expect((await second.get('/v1/health')).json).toMatchObject({
      http_port: null,
      conditions: expect.arrayContaining([expect.objectContaining({ code: 'tcp_unavailable' })]),
    })
    expect(lstatSync(second.host.paths.httpPort, { throwIfNoEntry: false })).toBe(undefined)
  })

  test('the token outlives the daemon, and a file that holds none is refused', async () => {
    const host = foundHome()
    const first = await startDaemon(host, overTcp)
    const token = first.token()
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    await first.close()
    const second = await startDaemon(host, overTcp)
    expect(second.token()).toBe(token)
  })
})

describe('on the Unix socket', () => {
  test("files decide: everything is the owner's alone", async () => {
    const { paths, home } = (await startDaemon(foundHome(), overTcp)).host
    const mode = (path: string) => statSync(path).mode & 0o777
    expect(mode(paths.socket)).toBe(0o600)
    expect(lstatSync(paths.socket).isSocket()).toBe(true)
    for (const directory of [home, `${home}/meshes`, `${home}/daemon`, paths.directory]) {
      expect([directory, mode(directory)]).toEqual([directory, 0o700])
    }
    const { localToken, keypair, pid, lock, httpPort, outboxDatabase, inboxDatabase, log } = paths
    const files = [localToken, keypair, pid, lock, httpPort, outboxDatabase, inboxDatabase, log]
    files.push(paths.membersDatabase, paths.eventsDatabase, `${outboxDatabase}-wal`)
    for (const file of files) expect([file, mode(file)]).toEqual([file, 0o600])
  })

  test('no token is asked for, any host name will do, and a token in the query is still refused', async () => {
    const daemon = await startDaemon(foundHome())
    const ask = (headers: Record<string, string | null>) =>
      daemon.request({ method: 'GET', path: '/v1/version', headers })
    expect((await ask({})).status).toBe(200)
    expect((await ask({ host: 'anything.example' })).status).toBe(200)
    expect((await ask({ host: null })).status).toBe(200)
    expect((await daemon.get('/v1/version?token=x')).json).toMatchObject({ code: 'token_in_query' })
  })
})
