import http from 'node:http'
import type { OutboxList } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { type RunningDaemon, startDaemon } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome } from '../support/home.ts'

/** Starts a request and leaves its body open, so that it stays in flight until it is ended or destroyed. */
function openRequest(daemon: RunningDaemon): http.ClientRequest {
  const request = http.request({
    socketPath: daemon.daemon.socket,
    method: 'POST',
    path: '/v1/send',
    agent: false,
    headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
  })
  request.on('error', () => undefined)
  request.write('{')
  return request
}

describe('requests in flight', () => {
  test('one more than the bound is 429 with Retry-After, and there is room again when one has ended', async () => {
    const daemon = await startDaemon(foundHome(), { flags: { 'ipc.socket_inflight_max': '3' } })
    const open = [openRequest(daemon), openRequest(daemon), openRequest(daemon)]
    const refused = await eventually('the bound is reached', async () => {
      const answer = await daemon.post('/v1/send', { to: '#a', message: 'x', client_message_id: 'busy' })
      return answer.status === 429 && answer
    })
    expect(refused.json).toMatchObject({ code: 'daemon_busy', retryable: true })
    expect(refused.headers['retry-after']).toBe('1')
    for (const request of open) request.destroy()
    await eventually('there is room again', async () => (await daemon.get('/v1/health')).status === 200)
  })

  test('each transport has its own', async () => {
    const daemon = await startDaemon(foundHome(), { flags: { 'ipc.tcp': 'on', 'ipc.socket_inflight_max': '1' } })
    const open = openRequest(daemon)
    await eventually('the socket is busy', async () => (await daemon.get('/v1/version')).status === 429)
    expect((await daemon.tcp({ method: 'GET', path: '/v1/version' })).status).toBe(200)
    open.destroy()
  })

  test('a caller that goes away gives its room back', async () => {
    const daemon = await startDaemon(foundHome(), { flags: { 'ipc.socket_inflight_max': '2' } })
    for (let round = 0; round < 5; round += 1) {
      const request = http.request({
        socketPath: daemon.daemon.socket,
        method: 'POST',
        path: '/v1/send?wait=30000',
        agent: false,
        headers: { 'content-type': 'application/json' },
      })
      request.on('error', () => undefined)
      request.end(JSON.stringify({ to: '#a', message: `${round}` }))
      const accepted = async () => ((await daemon.get('/v1/outbox')).json as OutboxList).rows?.length === round + 1
      await eventually(`send ${round} waits`, accepted)
      request.destroy()
    }
    await eventually('nobody is waited for', async () => {
      const metrics = (await daemon.get('/v1/metrics')).text
      return metrics.includes('cm_daemon_http_inflight{transport="unix"} 1')
    })
  })
})

describe('sizes', () => {
  test('a body of exactly 1 MiB is read; the message in it is larger than the broker takes inline', async () => {
    const daemon = await startDaemon(foundHome())
    const frame = JSON.stringify({ to: '#a', message: '' })
    const body = JSON.stringify({ to: '#a', message: 'x'.repeat(1024 * 1024 - frame.length) })
    expect(Buffer.byteLength(body)).toBe(1024 * 1024)
    const read = await daemon.post('/v1/send', body, { 'content-type': 'application/json' })
    expect([read.status, read.json]).toMatchObject([413, { code: 'payload_too_large' }])
    const over = await daemon.post('/v1/send', `${body} `, { 'content-type': 'application/json' })
    expect([over.status, over.json]).toMatchObject([413, { code: 'body_too_large' }])
  })

  test('a message of exactly the inline limit is taken, in bytes and not in characters', async () => {
    const daemon = await startDaemon(foundHome())
    const post = (message: string) => daemon.post('/v1/send', { to: '#a', message })
    expect((await post('x'.repeat(65_536))).status).toBe(202)
    expect((await post('é'.repeat(32_768))).status).toBe(202)
    expect((await post('é'.repeat(32_769))).json).toMatchObject({ code: 'payload_too_large', field: 'message' })
  })
})

describe('rate over TCP', () => {
  test('a burst of one second is served, then 429 rate_limited; the socket has no such limit', async () => {
    let elapsedMs = 0
    const runtime = { ...systemRuntime(), monotonicMs: () => elapsedMs }
    const daemon = await startDaemon(foundHome(), { flags: { 'ipc.tcp': 'on' }, runtime })
    const statuses = new Map<number, number>()
    for (let asked = 0; asked < 1050; asked += 50) {
      const path = '/v1/version'
      const answers = await Promise.all(Array.from({ length: 50 }, () => daemon.tcp({ method: 'GET', path })))
      for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    expect([...statuses]).toEqual([
      [200, 1000],
      [429, 50],
    ])
    const refused = await daemon.tcp({ method: 'GET', path: '/v1/version' })
    expect([refused.json, refused.headers['retry-after']]).toMatchObject([{ code: 'rate_limited' }, '1'])
    expect((await daemon.get('/v1/version')).status).toBe(200)
    elapsedMs += 10
    expect((await daemon.tcp({ method: 'GET', path: '/v1/version' })).status).toBe(200)
  })
})

describe('a full disk', () => {
  test('refuses new sends with 507, keeps answering, and recovers when the budget is raised', async () => {
    const host = foundHome()
    const daemon = await startDaemon(host, { env: { CLAUDEMESH_DISK_BUDGET_BYTES: String(1024 * 1024) } })
    const send = (key: string) =>
      daemon.post('/v1/send', { to: '#a', message: 'x'.repeat(60_000), client_message_id: key })
    let accepted = 0
    const refused = await eventually('the budget is used up', async () => {
      const answer = await send(`k${accepted}`)
      if (answer.status === 507) return answer
      expect(answer.status).toBe(202)
      accepted += 1
      return null
    })
    expect(refused.json).toMatchObject({ code: 'insufficient_storage', retryable: true })
    const { rows } = (await daemon.get('/v1/outbox?limit=500')).json as OutboxList
    expect(rows).toHaveLength(accepted)
    const retried = await send('k0')
    expect([retried.status, retried.json]).toMatchObject([202, { client_message_id: 'k0' }])
    expect((await daemon.get('/v1/health')).json).toMatchObject({
      disk: { pressure: 'full' },
      conditions: expect.arrayContaining([expect.objectContaining({ code: 'disk_full' })]),
    })
  })
})
