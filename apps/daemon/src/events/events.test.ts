import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { eventIdsReserved } from '../limits.ts'
import { Events, type NewEvent } from './events.ts'

const dayMs = 24 * 60 * 60 * 1000

function openEvents(path = join(scratchDirectory(), 'events.db'), runtime = new ManualRuntime()) {
  const events = Events.open({ path, runtime })
  const reopen = () => {
    events.close()
    return openEvents(path, runtime)
  }
  return { path, runtime, events, reopen }
}

function eventsOf(...numbers: readonly number[]): NewEvent[] {
  return numbers.map((n) => ({ type: n % 2 === 0 ? 'receipt' : 'message', data: { n } }))
}

const ids = (events: Events, after = 0) => events.after(after, 100).map((event) => event.id)

describe('stored events', () => {
  test('have growing ids and come back in order, with their data', () => {
    const { events, runtime } = openEvents()
    events.append(eventsOf(1, 2))
    events.append(eventsOf(3))
    expect(events.after(1, 100)).toEqual([
      { id: 2, type: 'receipt', at: runtime.time, data: { n: 2 } },
      { id: 3, type: 'message', at: runtime.time, data: { n: 3 } },
    ])
    expect(events.after(0, 2).map((event) => event.id)).toEqual([1, 2])
    expect(events.after(0, 100, ['receipt']).map((event) => event.id)).toEqual([2])
    expect(events.after(0, 100, [])).toEqual([])
    events.close()
  })

  test('and the cursor of their source are there together after the next start', () => {
    const { events, reopen } = openEvents()
    expect(events.cursor('inbox')).toBeNull()
    events.append(eventsOf(1), { source: 'inbox', generation: 'g1', position: 7 })
    events.append([], { source: 'outbox', generation: 'g', position: 3 })
    const again = reopen()
    expect(ids(again.events)).toEqual([1])
    expect(again.events.cursor('inbox')).toEqual({ generation: 'g1', position: 7 })
    expect(again.events.cursor('outbox')).toEqual({ generation: 'g', position: 3 })
    again.events.close()
  })

  test('are not stored when their cursor would move back, unless the source is another file', () => {
    const { events } = openEvents()
    events.append(eventsOf(1), { source: 'inbox', generation: 'g1', position: 7 })
    expect(() => events.append(eventsOf(2), { source: 'inbox', generation: 'g1', position: 6 })).toThrow('move back')
    expect(ids(events)).toEqual([1])
    events.append(eventsOf(3), { source: 'inbox', generation: 'g2', position: 0 })
    expect(events.cursor('inbox')).toEqual({ generation: 'g2', position: 0 })
    events.close()
  })

  test('are told to listeners after the commit only, and not to those who left', () => {
    const { events } = openEvents()
    const heard: number[][] = []
    const leave = events.subscribe(() => heard.push(ids(events)))
    events.append(eventsOf(1))
    events.append([], { source: 'inbox', generation: 'g', position: 1 })
    leave()
    events.append(eventsOf(2))
    expect(heard).toEqual([[1]])
    events.close()
  })

  test('keep their bounds when all of them are gone', () => {
    const { events, reopen, runtime } = openEvents()
    expect(events.bounds()).toEqual({ firstId: 1, lastId: 0 })
    events.append(eventsOf(1, 2, 3))
    expect(events.bounds()).toEqual({ firstId: 1, lastId: 3 })
    runtime.advance(8 * dayMs)
    const keep = { now: runtime.time, ageMsMax: 7 * dayMs, countMax: 100 }
    expect([events.retain({ ...keep, rowsMax: 2 }), events.retain({ ...keep, rowsMax: 2 })]).toEqual([2, 1])
    const again = reopen()
    expect(again.events.bounds()).toEqual({ firstId: 4, lastId: 3 })
    again.events.append(eventsOf(4))
    expect(ids(again.events)).toEqual([4])
    again.events.close()
  })

  test('beyond a number go, the oldest first', () => {
    const { events, runtime } = openEvents()
    events.append(eventsOf(1, 2, 3, 4, 5))
    expect(events.retain({ now: runtime.time, ageMsMax: dayMs, countMax: 2, rowsMax: 100 })).toBe(3)
    expect(ids(events)).toEqual([4, 5])
    expect(events.retain({ now: runtime.time, ageMsMax: dayMs, countMax: 2, rowsMax: 100 })).toBe(0)
    events.close()
  })

  test('of a damaged file are followed by ids above every one that was given before', () => {
    const { path, runtime, events } = openEvents()
    events.append(eventsOf(1, 2, 3))
    expect(events.rebuiltAt).toBeNull()
    events.close()
    writeFileSync(path, 'damaged'.repeat(1000))
    const again = openEvents(path, runtime)
    expect(again.events.rebuiltAt).toBe(runtime.time)
    expect(again.events.bounds()).toEqual({ firstId: runtime.time + 1, lastId: runtime.time })
    again.events.append(eventsOf(4))
    expect(ids(again.events)).toEqual([runtime.time + 1])
    const last = again.reopen()
    expect(last.events.rebuiltAt).toBe(runtime.time)
    last.events.close()
  })
})

/** The files as they are, as a kill leaves them, or a power cut when the last commit was synced. */
function copyOf(path: string): string {
  const copy = join(scratchDirectory(), 'events.db')
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, copy + suffix)
  return copy
}

describe('a start finds events that', () => {
  const from = (position: number) => ({ source: 'inbox', generation: 'g', position }) as const

  test('a kill has left: all of them, and ids that go on above every one that was reserved', () => {
    const { path, events } = openEvents()
    expect(events.append(eventsOf(1, 2), from(2))).toBe(true)
    expect(events.append(eventsOf(3), from(3))).toBe(false)
    const { events: after } = openEvents(copyOf(path))
    expect(ids(after)).toEqual([1, 2, 3])
    expect(after.cursor('inbox')?.position).toBe(3)
    expect([0, 1, 3].map((id) => after.isResumable(id))).toEqual([true, true, true])
    after.append(eventsOf(4), from(4))
    const [given] = ids(after, 3)
    expect(given).toBeGreaterThan(2 + eventIdsReserved)
    expect(after.isResumable(given ?? 0)).toBe(true)
    for (const one of [events, after]) one.close()
  })

  test('a power cut has left, once more after a start that added none', () => {
    const { path, events } = openEvents()
    events.append(eventsOf(1), from(1))
    const cut = copyOf(path)
    events.append(eventsOf(2), from(2))
    const { reopen } = openEvents(cut)
    const { events: after } = reopen()
    after.append(eventsOf(2), from(2))
    expect(ids(after, 1)[0]).toBeGreaterThan(1 + eventIdsReserved)
    for (const one of [events, after]) one.close()
  })

  test('a power cut has left: those that were synced with their place, and no id is given twice or resumed from', () => {
    const { path, events } = openEvents()
    events.append(eventsOf(1), from(1))
    const cut = copyOf(path)
    for (let n = 2; n <= 5; n += 1) events.append(eventsOf(n), from(n))
    const { events: after, reopen } = openEvents(cut)
    expect(ids(after)).toEqual([1])
    expect(after.cursor('inbox')?.position).toBe(1)
    expect([0, 1, 2, 5].map((id) => after.isResumable(id))).toEqual([true, true, false, false])
    after.append(eventsOf(2, 3), from(3))
    const last = reopen()
    expect(ids(last.events, 1)[0]).toBeGreaterThan(5)
    expect([1, 2, 5, ...ids(last.events, 1)].map((id) => last.events.isResumable(id))).toEqual([
      ...[true, false, false],
      ...[true, true],
    ])
    for (const one of [events, last.events]) one.close()
  })

  test('have no source: none of them can be lost', () => {
    const { path, events } = openEvents()
    events.append(eventsOf(1), from(1))
    events.append(eventsOf(2), from(2))
    expect(events.append(eventsOf(3))).toBe(true)
    const cut = copyOf(path)
    events.close()
    const { events: after } = openEvents(cut)
    expect(ids(after)).toEqual([1, 2, 3])
    after.close()
  })

  test('were closed in order: ids go on where they were', () => {
    const { events, reopen } = openEvents()
    events.append(eventsOf(1), from(1))
    const again = reopen()
    again.events.append(eventsOf(2), from(2))
    expect(ids(again.events)).toEqual([1, 2])
    again.events.close()
  })
})
