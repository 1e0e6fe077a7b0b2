import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { openClient } from '@claudemesh/client'
import { daemonPaths, type MeshEvent } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { answer, cut, ScriptedDaemon, stream } from './scripted-daemon.ts'

const queued = { status: 'queued', state: 'queued', client_message_id: 'k', outbox_id: '01JD8ZC6W0000000000000000A' }
const busy = { code: 'daemon_busy', detail: 'too many requests at once' }
const message = { to: '@bob', message: 'hello' }

function clientOf(daemon: ScriptedDaemon, options: { retryMsMax?: number; awaitDaemon?: boolean } = {}) {
  const client = openClient({ home: daemon.home, mesh: daemon.mesh, ...options })
  onTestFinished(() => client.close())
  return client
}

function keysOf(daemon: ScriptedDaemon): readonly unknown[] {
  return daemon.requests.map(({ json }) => (json as { client_message_id?: unknown }).client_message_id)
}

describe('a send', () => {
  test('carries a key of its own when the caller gave none', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(answer(202, queued), answer(202, queued))
    const client = clientOf(daemon)
    await client.send(message)
    await client.send(message)
    const [one, other] = keysOf(daemon)
    expect(one).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
    expect(other).not.toBe(one)
  })

  test('is repeated with the same key when the connection breaks or the daemon is busy or stopping', async () => {
    const daemon = new ScriptedDaemon()
    const stopping = answer(503, { code: 'shutting_down' }, { 'retry-after': '0' })
    await daemon.start(cut, answer(429, busy), stopping, answer(202, queued))
    expect(await clientOf(daemon).send(message)).toEqual(queued)
    expect(daemon.requests).toHaveLength(4)
    expect(new Set(keysOf(daemon)).size).toBe(1)
  })

  test('waits for a daemon that restarts under it', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start((response) => {
      void daemon.stop().then(() => daemon.start(answer(202, queued)))
      response.socket?.destroy()
    })
    expect(await clientOf(daemon).send({ ...message, client_message_id: 'mine' })).toEqual(queued)
    expect(keysOf(daemon)).toEqual(['mine', 'mine'])
  })

  test('that failed names its key, with which it can be made again', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(cut)
    const failed = clientOf(daemon, { retryMsMax: 0 }).send({ ...message, client_message_id: 'mine' })
    await expect(failed).rejects.toMatchObject({ code: 'daemon_unreachable', data: { client_message_id: 'mine' } })
  })

  test('asks for the state that it waits for', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(answer(202, queued), answer(202, queued))
    const client = clientOf(daemon)
    await client.send(message)
    await client.send(message, { waitMs: 1500, until: 'delivered' })
    expect(daemon.requests.map(({ url }) => url)).toEqual(['/v1/send', '/v1/send?wait=1500&until=delivered'])
  })

  test('ends when its signal fires', async () => {
    const daemon = new ScriptedDaemon()
    const stop = new AbortController()
    await daemon.start(() => stop.abort(new Error('enough')))
    await expect(clientOf(daemon).send(message, { signal: stop.signal })).rejects.toThrow('enough')
  })

  test('ends when its client is closed, and is not made again', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(() => client.close(), answer(202, queued))
    const client = openClient({ home: daemon.home, mesh: daemon.mesh })
    await expect(client.send(message)).rejects.toMatchObject({ code: 'daemon_unreachable' })
    expect(daemon.requests).toHaveLength(1)
  })

  test('in a batch has a key for each item', async () => {
    const daemon = new ScriptedDaemon()
    const items = [
      { status: 202, body: queued },
      { status: 404, body: { code: 'recipient_unknown' } },
    ]
    await daemon.start(answer(200, { items }))
    const answers = await clientOf(daemon).sendBatch([message, { ...message, client_message_id: 'mine' }])
    expect(answers.map(({ status }) => status)).toEqual([202, 404])
    const sent = daemon.requests[0]?.json as { client_message_id: string }[]
    expect(sent[1]?.client_message_id).toBe('mine')
    expect(sent[0]?.client_message_id).toHaveLength(26)
  })
})

describe('an operation that is not the same when done twice', () => {
  test('is not repeated after it may have been done', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(cut, answer(200, {}))
    await expect(clientOf(daemon).requeue('01JD8ZC6W0000000000000000A')).rejects.toMatchObject({
      code: 'daemon_unreachable',
    })
    expect(daemon.requests).toHaveLength(1)
  })
})

describe('an answer that is an error', () => {
  test('becomes the error of its problem document, with everything that it tells', async () => {
    const daemon = new ScriptedDaemon()
    const problem = { code: 'recipient_unknown', detail: 'no member is called bbo', near: ['bob'], hint: 'Look.' }
    await daemon.start(answer(404, problem))
    await expect(clientOf(daemon).send(message)).rejects.toMatchObject({
      code: 'recipient_unknown',
      message: 'no member is called bbo',
      hint: 'Look.',
      data: { near: ['bob'] },
    })
  })

  test('is told of as well as can be when it is no problem document', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start((response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<p>no</p>'))
    await expect(clientOf(daemon).health()).rejects.toMatchObject({
      code: 'internal_error',
      data: { http_status: 502 },
    })
  })
})

describe('a daemon that is not there', () => {
  test('is reported at once, with the command that starts it', async () => {
    const daemon = new ScriptedDaemon()
    const missing = clientOf(daemon).health()
    await expect(missing).rejects.toMatchObject({
      code: 'daemon_unreachable',
      hint: expect.stringContaining('claudemesh daemon start'),
    })
  })

  test('is waited for by a client that was told to', async () => {
    const daemon = new ScriptedDaemon()
    const health = clientOf(daemon, { awaitDaemon: true }).health()
    await daemon.start(answer(200, { status: 'ok' }))
    expect(await health).toEqual({ status: 'ok' })
  })

  test('that left a stale socket is not there either', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start()
    await daemon.stop()
    writeFileSync(daemonPaths(daemon.home, daemon.mesh).socket, '')
    await expect(clientOf(daemon).health()).rejects.toMatchObject({ code: 'daemon_unreachable' })
  })
})

describe('a daemon without a socket', () => {
  test('is reached over TCP with its token', async () => {
    const daemon = new ScriptedDaemon()
    const paths = daemonPaths(daemon.home, daemon.mesh)
    const seen: (string | undefined)[] = []
    const server: Server = createServer((request, response) => {
      seen.push(request.headers.authorization, request.headers.host)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
    writeFileSync(paths.httpPort, `${address.port}\n`)
    writeFileSync(paths.localToken, 'token\n')
    expect(await clientOf(daemon).health()).toEqual({ status: 'ok' })
    expect(seen).toEqual(['Bearer token', `127.0.0.1:${address.port}`])
  })
})

describe('pages', () => {
  test('are fetched one after the other, each from where the last one ended', async () => {
    const daemon = new ScriptedDaemon()
    const page = (ids: readonly string[], next: string | null) =>
      answer(200, { messages: ids.map((id) => ({ id })), next })
    await daemon.start(page(['a', 'b'], 'b'), page(['c'], null))
    const ids: string[] = []
    for await (const { id } of clientOf(daemon).inboxMessages({ unread: true })) ids.push(id)
    expect(ids).toEqual(['a', 'b', 'c'])
    expect(daemon.requests.map(({ url }) => url)).toEqual(['/v1/inbox?unread=true', '/v1/inbox?unread=true&after=b'])
  })
})

describe('events', () => {
  const event = (id: number) => `id: ${id}\nevent: message\ndata: {"n":${id}}\n\n`

  async function take(events: AsyncGenerator<MeshEvent>, count: number): Promise<readonly string[]> {
    const taken: string[] = []
    for await (const { id, type } of events) {
      taken.push(`${type} ${id}`)
      if (taken.length === count) break
    }
    return taken
  }

  test('resume after the last one seen when the stream is cut, also inside an event', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(
      stream(`retry: 1\nid: 4\n\n${event(5)}${event(6)}id: 7\nevent: mess`, 'cut'),
      stream(event(7), 'cut'),
      cut,
      stream(event(8), 'open'),
    )
    expect(await take(clientOf(daemon).events(), 4)).toEqual(['message 5', 'message 6', 'message 7', 'message 8'])
    const positions = daemon.requests.map(({ headers }) => headers['last-event-id'])
    expect(positions).toEqual([undefined, '6', '7', '7'])
  })

  test('resume where the stream began when it was cut before any event', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(stream('retry: 1\nid: 4\n\n', 'cut'), stream(event(5), 'open'))
    expect(await take(clientOf(daemon).events(), 1)).toEqual(['message 5'])
    expect(daemon.requests[1]?.headers['last-event-id']).toBe('4')
  })

  test('say resync when the daemon could not resume', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(stream(`id: 90\nevent: resync\ndata: {"reason":"no_longer_stored"}\n\n${event(91)}`, 'open'))
    const events = clientOf(daemon).events({ since: '3', types: ['message'] })
    expect(await take(events, 2)).toEqual(['resync 90', 'message 91'])
    expect(daemon.requests[0]).toMatchObject({ url: '/v1/events?types=message', headers: { 'last-event-id': '3' } })
  })

  test('tell of interruptions and of their end', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(stream(`retry: 1\n${event(1)}`, 'cut'), stream(event(2), 'open'))
    const told: string[] = []
    const events = clientOf(daemon).events({
      onConnected: () => told.push('connected'),
      onInterrupted: ({ code }) => told.push(code),
    })
    await take(events, 2)
    expect(told).toEqual(['connected', 'daemon_unreachable', 'connected'])
  })

  test('end when their signal fires', async () => {
    const daemon = new ScriptedDaemon()
    await daemon.start(stream(event(1), 'open'))
    const stop = new AbortController()
    const events = clientOf(daemon).events({ signal: stop.signal })
    expect((await events.next()).done).toBe(false)
    const next = events.next()
    stop.abort()
    expect((await next).done).toBe(true)
  })

  test('are refused at once when no daemon is there, or when the request is wrong', async () => {
    const daemon = new ScriptedDaemon()
    await expect(clientOf(daemon).events().next()).rejects.toMatchObject({ code: 'daemon_unreachable' })
    await daemon.start(answer(400, { code: 'invalid_request' }))
    await expect(clientOf(daemon).events().next()).rejects.toMatchObject({ code: 'invalid_request' })
  })
})
