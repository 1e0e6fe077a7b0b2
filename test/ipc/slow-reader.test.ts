/** Readers of events that are slower than what happens, on a server that serves nothing else. */
import http from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Events } from '../../apps/daemon/src/events/events.ts'
import { EventStreams } from '../../apps/daemon/src/ipc/sse.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { eventually } from '../support/eventually.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const text = 'x'.repeat(16_000)

interface SlowReader {
  readonly events: Events
  /** The side of the server. */
  readonly response: http.ServerResponse
  append(count: number): void
  /** Ids and types, in the order in which they came. */
  readonly seen: readonly (readonly [id: number, type: string])[]
  read(): void
}

/** A reader of everything from the first event, which has read nothing yet. */
async function slowReader(stored: number): Promise<SlowReader> {
  const directory = scratchDirectory()
  const events = Events.open({ path: join(directory, 'events.db'), runtime: systemRuntime() })
  const append = (count: number) =>
    events.append(Array.from({ length: count }, () => ({ type: 'message' as const, data: { text } })))
  append(stored)
  const streams = new EventStreams(events)
  let response: http.ServerResponse | undefined
  const server = http.createServer((_, answer) => {
    response = answer
    void streams.serve(answer, { lastEventId: '0', types: null })
  })
  const socketPath = join(directory, 'events.sock')
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve)
  })
  const request = http.get({ socketPath, agent: false })
  const answer = await new Promise<http.IncomingMessage>((resolve) => request.on('response', resolve))
  onTestFinished(async () => {
    streams.stop()
    request.destroy()
    await new Promise((resolve) => server.close(resolve))
    events.close()
  })
  const seen: [number, string][] = []
  let rest = ''
  if (response === undefined) throw new Error('an answer came and no request did')
  return {
    events,
    response,
    append,
    seen,
    read() {
      answer.on('data', (chunk: Buffer) => {
        const blocks = (rest + chunk.toString()).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) {
          const [, id, type] = /^id: (\d+)\nevent: (\w+)$/m.exec(block) ?? []
          if (id !== undefined && type !== undefined) seen.push([Number(id), type])
        }
      })
    },
  }
}

test('a reader that retention overtakes is told to read anew, and misses nothing after that', async () => {
  const reader = await slowReader(2_000)
  await eventually('the stream waits for its reader', () => reader.response.writableNeedDrain)
  const removed = reader.events.retain({ now: Date.now(), ageMsMax: 3_600_000, countMax: 10, rowsMax: 5_000 })
  expect(removed).toBe(1_990)
  reader.read()
  await eventually('it was told', () => reader.seen.some(([, type]) => type === 'resync'))
  reader.append(3)
  await eventually('it goes on', () => reader.seen.at(-1)?.[0] === 2_003)
  const resync = reader.seen.findIndex(([, type]) => type === 'resync')
  const ids = reader.seen.map(([id]) => id)
  expect(ids.slice(0, resync)).toEqual(Array.from({ length: resync }, (_, n) => n + 1))
  expect(reader.seen.slice(resync)).toEqual([
    [2_000, 'resync'],
    [2_001, 'message'],
    [2_002, 'message'],
    [2_003, 'message'],
  ])
})

test('a stream that waited for its reader many times listens no more than one that never did', async () => {
  const reader = await slowReader(0)
  const listeners = () => [reader.response.listenerCount('close'), reader.response.listenerCount('drain')]
  await eventually('the stream is open', () => reader.response.headersSent)
  const before = listeners()
  let drains = 0
  reader.response.on('drain', () => {
    drains += 1
  })
  reader.read()
  reader.append(2_000)
  await eventually('everything came', () => reader.seen.length === 2_000)
  expect(drains).toBeGreaterThan(10)
  const [close, drain] = listeners()
  expect([close, drain]).toEqual([before[0], (before[1] ?? 0) + 1])
})
