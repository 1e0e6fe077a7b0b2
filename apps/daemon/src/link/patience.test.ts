import { describe, expect, test } from 'vitest'
import { Patience } from './patience.ts'
import { linkTimings } from './timings.ts'

const conflict = { code: 4003, name: 'replaced_by_newer_connection', since: 1 }
const timings = {
  ...linkTimings,
  backoffMsBase: 500,
  backoffMsCap: 60_000,
  conflictMsBase: 5000,
  conflictMsCap: 300_000,
}

function patience(random: number) {
  return new Patience({ timings, random: () => random })
}

describe('the wait before the next connection', () => {
  test('is a random part of a delay that doubles up to its cap', () => {
    const half = patience(0.5)
    const delays = Array.from({ length: 9 }, () => half.nextDelay())
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    const none = patience(0)
    expect(Array.from({ length: 3 }, () => none.nextDelay())).toEqual([0, 0, 0])
  })

  test('stays at its cap however long the broker is away', () => {
    const long = patience(0.999)
    for (let n = 0; n < 5000; n += 1) long.nextDelay()
    expect(long.nextDelay()).toBe(59_940)
  })

  test('comes after what a busy broker asked for, which is no longer than its cap', () => {
    const half = patience(0.5)
    const asked = [7_000, 7_000, 0, 86_400_000]
    expect(asked.map((ms) => half.nextDelay(ms))).toEqual([7_250, 7_500, 1_000, 62_000])
  })

  test('begins anew after a connection that carried messages, however short it was', () => {
    const host = patience(0.5)
    const first = host.nextDelay()
    host.nextDelay()
    host.noteEnd({ openMs: 1, wasUseful: true })
    expect(host.nextDelay()).toBe(first)
  })

  test('begins anew after a connection that was stable, and only then', () => {
    const half = patience(0.5)
    for (let n = 0; n < 4; n += 1) half.nextDelay()
    half.noteEnd({ openMs: timings.stableMs - 1, wasUseful: false })
    expect(half.nextDelay()).toBe(4000)
    half.noteEnd({ openMs: timings.stableMs, wasUseful: false })
    expect(half.nextDelay()).toBe(250)
  })
})

describe('the wait of a host whose identity another one uses', () => {
  test('always grows, also when it comes to be connected in between', () => {
    const host = patience(0.4)
    const delays = Array.from({ length: 8 }, () => {
      const delay = host.nextConflictDelay(conflict)
      host.noteEnd({ openMs: timings.stableMs, wasUseful: false })
      return delay
    })
    expect(delays).toEqual([5500, 11_000, 22_000, 44_000, 88_000, 176_000, 330_000, 330_000])
  })

  test('is known since the first time, until a connection has lasted', () => {
    const host = patience(0)
    expect(host.conflict(0)).toBeNull()
    host.nextConflictDelay(conflict)
    host.nextConflictDelay({ ...conflict, since: 99 })
    expect(host.conflict(0)).toEqual(conflict)
    expect(host.conflict(timings.conflictOverMs - 1)).toEqual(conflict)
    expect(host.conflict(timings.conflictOverMs)).toBeNull()
    host.noteEnd({ openMs: timings.conflictOverMs, wasUseful: false })
    expect(host.conflict(0)).toBeNull()
    expect(host.nextConflictDelay(conflict)).toBe(5000)
  })
})
