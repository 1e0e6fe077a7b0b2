import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
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
