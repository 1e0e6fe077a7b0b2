/** Spaces through the client, against a real daemon: what a program relies on beside the routes themselves. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { openClient } from '@claudemesh/client'
import type { RecordedDecision } from '@claudemesh/protocol/spaces'
import { expect, onTestFinished, test } from 'vitest'
import { type RunningDaemon, startDaemon } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome } from '../support/home.ts'

const set = (key: string, value: string) => ({ kind: 'state', payload: { key, value } }) as const

const homeOf = ({ host }: RunningDaemon) => ({ home: host.home, mesh: host.slug })

function clientOf(running: RunningDaemon) {
  const client = openClient(homeOf(running))
  onTestFinished(() => client.close())
  return client.spaces
}

test('a space is made, decided in, asked and moved', async () => {
  const spaces = clientOf(await startDaemon(foundHome()))
  await spaces.create('plans')
  const [first] = await spaces.decide('plans', [set('database', 'sqlite')], { intentId: 'choose', sign: true })
  expect(first).toMatchObject({ seq: 1, intent_id: 'choose', signature: 'verified' })
  await spaces.decide('plans', [set('database', 'postgres')], { expectHead: 1 })
  await expect(spaces.decide('plans', [set('x', 'y')], { intentId: 'late', expectHead: 1 })).rejects.toMatchObject({
    code: 'head_moved',
    data: { head: 2, intent_id: 'late' },
  })
  expect((await spaces.state('plans')).state).toMatchObject({ database: { value: 'postgres' } })
  expect((await spaces.state('plans', { at: 1 })).state).toMatchObject({ database: { value: 'sqlite' } })
  expect((await spaces.why('plans', 'database')).decisions.map(({ seq }) => seq)).toEqual([1, 2])

  const lines = await buffer(spaces.export('plans'))
  const other = clientOf(await startDaemon(foundHome()))
  const source = { open: () => Readable.from([lines]), reopens: true }
  expect(await other.import('plans', source)).toEqual({ appended: 2, present: 0 })
  expect(await buffer(other.export('plans'))).toEqual(lines)
})

test('everything that a list or a log has is fetched page by page', async () => {
  const spaces = clientOf(await startDaemon(foundHome()))
  for (const name of ['b', 'a']) await spaces.create(name)
  const names: string[] = []
  for await (const { space } of spaces.each()) names.push(space)
  expect(names).toEqual(['a', 'b'])
  const decided = await spaces.decide(
    'a',
    Array.from({ length: 4 }, (_, n) => set(`k${n}`, 'x'.repeat(200_000))),
  )
  const read: RecordedDecision[] = []
  for await (const event of spaces.eachEvent('a')) read.push(event)
  expect(read).toEqual(decided)
})

test('who watches misses nothing over a restart of the daemon, and gets nothing twice', async () => {
  const running = await startDaemon(foundHome())
  const spaces = clientOf(running)
  await spaces.create('plans')
  await spaces.decide('plans', [set('a', '1')])
  const stop = new AbortController()
  const seen: number[] = []
  const watching = (async () => {
    for await (const { seq } of spaces.watch('plans', { signal: stop.signal })) seen.push(seq)
  })()
  await eventually('it has what was there', () => seen.length === 1)
  await running.close()
  const after = clientOf(await startDaemon(running.host))
  await after.decide('plans', [set('a', '2'), set('a', '3')])
  await eventually('it has what came', () => seen.length === 3)
  expect(seen).toEqual([1, 2, 3])
  stop.abort()
  await watching
})
