import http from 'node:http'
import { describe, expect, test } from 'vitest'
import { Events } from '../../apps/daemon/src/events/events.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { type RunningDaemon, startDaemon } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome, type TestHome } from '../support/home.ts'

interface StreamEvent {
  readonly id: string
  readonly type: string
  readonly data: Record<string, unknown>
}

/** A reader of one stream: the text as it came, and the events in it but for the daemon's own start. */
class Reader {
  text = ''
  status = 0
  contentType = ''
  ended = false
  readonly #request: http.ClientRequest

  constructor(daemon: RunningDaemon, path = '/v1/events', headers: Record<string, string> = {}) {
    this.#request = http.request({ socketPath: daemon.daemon.socket, path, headers, agent: false }, (answer) => {
      this.status = answer.statusCode ?? 0
      this.contentType = String(answer.headers['content-type'])
      answer.on('data', (chunk: Buffer) => {
        this.text += chunk.toString()
      })
      answer.on('close', () => {
        this.ended = true
      })
      answer.on('error', () => undefined)
    })
    this.#request.on('error', () => undefined)
    this.#request.end()
  }

  get events(): StreamEvent[] {
    return this.text.split('\n\n').flatMap((block) => {
      const fields = new Map(block.split('\n').map((line) => [line.split(': ')[0], line.slice(line.indexOf(': ') + 2)]))
      const [id, type, data] = [fields.get('id'), fields.get('event'), fields.get('data')]
      if (id === undefined || type === undefined || data === undefined || type === 'daemon_start') return []
      return [{ id, type, data: JSON.parse(data) }]
    })
  }

  /** The id from which a reader that has seen no event resumes. */
  get firstId(): string | undefined {
    return /^id: (\d+)$/m.exec(this.text)?.[1]
  }

  close(): void {
    this.#request.destroy()
  }
}

/** Stores events as the publisher would, before the daemon opens its files. */
function store(host: TestHome, count: number): void {
  const events = Events.open({ path: host.paths.eventsDatabase, runtime: systemRuntime() })
  const batch = Array.from({ length: count }, (_, n) => ({ type: 'message' as const, data: { n } }))
  events.append(batch)
  events.close()
}

/** Makes the daemon publish: each requeue settles the old row, which is an event. */
async function settle(daemon: RunningDaemon, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const sent = await daemon.post('/v1/send', { to: '#a', message: `${n}` })
    await daemon.post(`/v1/outbox/${(sent.json as { outbox_id: string }).outbox_id}/drop`)
  }
}

describe('GET /v1/events', () => {
  test('begins with how to resume, then tells what happens, in order', async () => {
    const daemon = await startDaemon(foundHome())
    const reader = new Reader(daemon)
    await eventually('the stream is open', () => reader.firstId)
    expect([reader.status, reader.contentType]).toEqual([200, 'text/event-stream; charset=utf-8'])
    expect(reader.text).toMatch(/^retry: \d+\nid: 1\n\n/)
    await settle(daemon, 3)
    await eventually('three events came', () => reader.events.length === 3)
    expect(reader.events.map((event) => [event.type, event.data['status']])).toEqual([
      ['outbox_settled', 'aborted'],
      ['outbox_settled', 'aborted'],
      ['outbox_settled', 'aborted'],
    ])
    const ids = reader.events.map((event) => Number(event.id))
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
  })

  test('resumes after the last id without gap or repetition, by header or by query, across a restart', async () => {
    const host = foundHome()
    store(host, 500)
    const first = await startDaemon(host)
    const reader = new Reader(first, '/v1/events?since=0')
    await eventually('all stored events came', () => reader.events.length === 500)
    reader.close()
    const seen = reader.events.slice(0, 200)
    const last = seen.at(-1)?.id ?? ''
    await first.close()
    const second = await startDaemon(host)
    for (const resumed of [
      new Reader(second, '/v1/events', { 'last-event-id': last }),
      new Reader(second, `/v1/events?since=${last}`),
    ]) {
      await eventually('the rest came', () => resumed.events.length === 300)
      expect([...seen, ...resumed.events].map((event) => event.data['n'])).toEqual(
        Array.from({ length: 500 }, (_, n) => n),
      )
      resumed.close()
    }
  })

  test('what happens between replay and live is neither missed nor told twice', async () => {
    const host = foundHome()
    store(host, 2000)
    const daemon = await startDaemon(host)
    const [readers] = await Promise.all([
      Array.from({ length: 8 }, () => new Reader(daemon, '/v1/events?since=0')),
      settle(daemon, 20),
    ])
    for (const reader of readers) {
      await eventually('everything came', () => reader.events.length >= 2020)
      const ids = reader.events.map((event) => Number(event.id))
      expect(new Set(ids).size).toBe(2020)
      expect(ids).toEqual([...ids].sort((a, b) => a - b))
      reader.close()
    }
  })

  test('a reader that leaves before its first event resumes from the id it began with', async () => {
    const daemon = await startDaemon(foundHome())
    const early = new Reader(daemon)
    const id = await eventually('the stream is open', () => early.firstId)
    early.close()
    await settle(daemon, 2)
    const late = new Reader(daemon, '/v1/events', { 'last-event-id': id })
    await eventually('both came', () => late.events.length === 2)
  })

  test('an id that is gone, unknown or no id is answered with resync, and then with what follows', async () => {
    const host = foundHome()
    store(host, 10)
    const events = Events.open({ path: host.paths.eventsDatabase, runtime: systemRuntime() })
    events.retain({ now: Date.now(), ageMsMax: 3_600_000, countMax: 4, rowsMax: 100 })
    events.close()
    const daemon = await startDaemon(host)
    const rows: [lastEventId: string, reason: string | null][] = [
      ['3', 'no_longer_stored'],
      ['5', 'no_longer_stored'],
      ['6', null],
      ['10', null],
      // The daemon's start.
      ['11', null],
      ['12', 'unknown_id'],
      ['99999999999999999999', 'unknown_id'],
      ['-1', 'unknown_id'],
      ['abc', 'unknown_id'],
    ]
    const readers = rows.map(([id]) => new Reader(daemon, '/v1/events', { 'last-event-id': id }))
    for (const [index, reader] of readers.entries()) await eventually(`reader ${index} is open`, () => reader.firstId)
    await settle(daemon, 1)
    for (const [index, [id, reason]] of rows.entries()) {
      const reader = readers[index]
      const settled = () => reader?.events.some((event) => event.type === 'outbox_settled') === true
      await eventually(`${id} gets what follows`, settled)
      const [event] = reader?.events ?? []
      expect([id, event?.type === 'resync' ? event.data['reason'] : null]).toEqual([id, reason])
      expect(reader?.events.filter((each) => each.type === 'message')).toHaveLength(id === '6' ? 4 : 0)
    }
  })

  test('can be narrowed to types, and refuses a type that there is not', async () => {
    const host = foundHome()
    store(host, 300)
    const daemon = await startDaemon(host)
    const reader = new Reader(daemon, '/v1/events?since=0&types=outbox_settled,%20daemon_connect')
    await settle(daemon, 2)
    await eventually('both came', () => reader.events.length === 2)
    expect(new Set(reader.events.map((event) => event.type))).toEqual(new Set(['outbox_settled']))
    const refused = await daemon.get('/v1/events?types=outbox_settled,surprise')
    expect([refused.status, refused.json]).toMatchObject([400, { code: 'invalid_request', field: 'types' }])
  })

  test('32 streams at once; one more is 429, and there is room when one has gone', async () => {
    const daemon = await startDaemon(foundHome())
    const readers = Array.from({ length: 32 }, () => new Reader(daemon))
    for (const reader of readers) await eventually('the stream is open', () => reader.firstId)
    const refused = await daemon.get('/v1/events')
    expect([refused.status, refused.json]).toMatchObject([429, { code: 'too_many_streams' }])
    readers[0]?.close()
    const next = await eventually('there is room', async () => {
      const reader = new Reader(daemon)
      await eventually('it answered', () => reader.status > 0)
      return reader.status === 200 && reader
    })
    expect(next.status).toBe(200)
  })

  test('streams take no room of other requests, and end when the daemon stops', async () => {
    const daemon = await startDaemon(foundHome(), { flags: { 'ipc.socket_inflight_max': '1' } })
    const readers = Array.from({ length: 3 }, () => new Reader(daemon))
    for (const reader of readers) await eventually('the stream is open', () => reader.firstId)
    expect((await daemon.get('/v1/version')).status).toBe(200)
    const begun = performance.now()
    await daemon.close()
    expect(performance.now() - begun).toBeLessThan(3_000)
    for (const reader of readers) await eventually('the stream has ended', () => reader.ended)
  })

  test('a reader that reads nothing holds back nobody else', async () => {
    const host = foundHome()
    const events = Events.open({ path: host.paths.eventsDatabase, runtime: systemRuntime() })
    const text = 'x'.repeat(16_000)
    for (let n = 0; n < 40; n += 1) {
      events.append(Array.from({ length: 50 }, () => ({ type: 'message' as const, data: { text } })))
    }
    events.close()
    const daemon = await startDaemon(host)
    const sleeper = http.request({ socketPath: daemon.daemon.socket, path: '/v1/events?since=0', agent: false })
    const opened = new Promise<http.IncomingMessage>((resolve) => sleeper.on('response', resolve))
    sleeper.on('error', () => undefined)
    sleeper.end()
    ;(await opened).pause()
    const before = process.memoryUsage().rss
    const reader = new Reader(daemon, '/v1/events?since=1990')
    await eventually('the other reader got its events', () => reader.events.length === 10)
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
    sleeper.destroy()
  })
})
