import http from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'

interface SseEvent {
  readonly id: string
  readonly type: string
  readonly data: Record<string, unknown>
}

describe('GET /v1/events', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
  }, 60_000)
  afterAll(() => mesh.end())

  test('a reader that loses its connection and its daemon again and again misses nothing and sees nothing twice', async () => {
    const events: SseEvent[] = []
    const keys: string[] = []
    for (let round = 0; round < 5; round += 1) {
      const before = messageKeys(events).length
      const stream = listen(bob, events)
      for (let n = 0; n < 20; n += 1) {
        const key = `event-${round}-${n}`
        keys.push(key)
        await alice.send({ to: '@bob', message: key, client_message_id: key })
      }
      await eventually('some of them were seen', () => messageKeys(events).length > before + 3)
      stream.destroy()
      await bob.kill()
      await bob.start()
    }
    const stream = listen(bob, events)
    await eventually('the rest was seen', () => messageKeys(events).length >= keys.length)
    stream.destroy()
    expect(messageKeys(events)).toEqual(keys)
    const ids = events.map((event) => Number(event.id))
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    expect(new Set(ids).size).toBe(ids.length)
  }, 60_000)

  test('the sender sees its sends settled and received', async () => {
    const events: SseEvent[] = []
    const stream = listen(alice, events)
    await alice.send({ to: '@bob', message: 'watched', client_message_id: 'watched' })
    const ofIt = (type: string) =>
      events.find((event) => event.type === type && event.data.client_message_id === 'watched')
    await eventually(
      'it is settled and delivered',
      () => ofIt('outbox_settled') !== undefined && ofIt('receipt') !== undefined,
    )
    expect(ofIt('outbox_settled')?.data).toMatchObject({ status: 'done' })
    expect(ofIt('receipt')?.data).toMatchObject({ state: 'delivered' })
    stream.destroy()
  })

  test('an id that was never given out is answered with resync', async () => {
    const events: SseEvent[] = []
    const stream = listen(bob, events, '999999999')
    await eventually('resync comes', () => events.length > 0)
    expect(events[0]?.type).toBe('resync')
    stream.destroy()
  })
})

function messageKeys(events: readonly SseEvent[]): unknown[] {
  return events.filter((event) => event.type === 'message').map((event) => event.data.client_message_id)
}

/** Reads the stream from where `events` ends, as an EventSource would. */
function listen(member: TestMember, events: SseEvent[], from?: string): http.ClientRequest {
  const last = from ?? events.at(-1)?.id
  const headers = { accept: 'text/event-stream', 'last-event-id': last ?? '0' }
  const request = http.request({ socketPath: member.socket, path: '/v1/events', headers }, (answer) => {
    let rest = ''
    answer.setEncoding('utf8')
    answer.on('error', () => {
      // The test destroys the stream; what was read until then is what counts.
    })
    answer.on('data', (chunk: string) => {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const event = parseEvent(block)
        if (event !== null) events.push(event)
      }
    })
  })
  request.on('error', () => {
    // As above: also the daemon may be killed under it.
  })
  request.end()
  return request
}

function parseEvent(block: string): SseEvent | null {
  const fields = new Map(
    block
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith(':'))
      .map((line): [string, string] => [
        line.slice(0, line.indexOf(':')),
        line.slice(line.indexOf(':') + 1).trimStart(),
      ]),
  )
  const data = fields.get('data')
  if (data === undefined) return null
  return { id: fields.get('id') ?? '', type: fields.get('event') ?? 'message', data: JSON.parse(data) }
}
