/** The log of events: what a reader of `GET /v1/events` asks of it, and its retention. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdSource } from '@claudemesh/protocol'
import { readRow } from '../statements.ts'
import { loadStore } from './daemon-modules.ts'
import { type GrowingTables, type Growth, microsecondsPerCall } from './growth.ts'
import { fillByCopies } from './statements.ts'

export const eventsGrowth: Growth = {
  name: 'growth-events',
  unit: 'events',
  operations: [
    { name: 'append', about: 'events in commits of 64, a commit' },
    { name: 'read on', about: 'a page of 100 behind an id in the middle' },
    { name: 'read one type', about: 'the same, of a type that half of them have' },
    { name: 'retention step', about: 'the oldest 512 removed, a commit' },
    { name: 'retention tick', about: 'nothing is old enough' },
  ],
  prepare,
}

const [pageRows, stepRows, batchRows] = [100, 512, 64]
const dayMs = 86_400_000

async function prepare(): Promise<GrowingTables> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-growth-'))
  const path = join(directory, 'events.db')
  const { Events } = await loadStore('events')
  const now = () => Date.now()
  const runtime = { now, monotonicMs: () => performance.now(), random: () => 0.5, nextId: createIdSource(now) }
  const data = { id: runtime.nextId(), from: 'a'.repeat(64), preview: 'p'.repeat(100) }
  const types = ['message', 'receipt'] as const
  const batch = Array.from({ length: batchRows }, (_, n) => ({ type: types[n % 2] ?? 'message', data }))
  let events = Events.open({ path, runtime })
  events.append(batch)
  let rows = batch.length
  const fill = (count: number) => {
    events.close()
    const differing = { id: 'NULL', type: `CASE n % 2 WHEN 0 THEN 'message' ELSE 'receipt' END` }
    const like = readRow(path, 'event')
    fillByCopies(path, [{ table: 'event', like, differing, first: rows, count: count - rows }])
    events = Events.open({ path, runtime })
    rows = Math.max(rows, count)
  }
  const retain = (countMax: number) =>
    events.retain({ now: runtime.now(), ageMsMax: dayMs, countMax, rowsMax: stepRows })
  return {
    fill,
    measure: () => {
      const append = microsecondsPerCall(8, () => events.append(batch))
      const { firstId, lastId } = events.bounds()
      const middle = Math.floor((firstId + lastId) / 2)
      const readOn = microsecondsPerCall(20, () => expectRows(events.after(middle, pageRows)))
      const readOneType = microsecondsPerCall(20, () => expectRows(events.after(middle, pageRows, ['message'])))
      const tick = microsecondsPerCall(20, () => void retain(lastId))
      const step = microsecondsPerCall(1, () => {
        if (retain(lastId - firstId + 1 - stepRows) !== stepRows) throw new Error('a step of retention removed less')
      })
      return { append, 'read on': readOn, 'read one type': readOneType, 'retention step': step, 'retention tick': tick }
    },
    close: () => {
      events.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function expectRows({ length }: readonly unknown[]): void {
  if (length !== pageRows) throw new Error(`a page has ${length} rows`)
}
