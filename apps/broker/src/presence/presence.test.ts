import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Presence } from './presence.ts'

const member = { meshId: 'm', memberId: 'a' }

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function makePresence() {
  const announced: boolean[] = []
  const recorded: { online: boolean; at: number }[] = []
  const presence = new Presence({
    records: {
      recordPresence: async (_, change) => {
        recorded.push(change)
      },
    },
    runtime: { now: () => Date.now(), monotonicMs: () => performance.now(), nextId: () => '' },
    graceMs: 90_000,
    announce: (_, { online }) => announced.push(online),
    report: (error) => {
      throw error
    },
  })
  return { presence, announced, recorded }
}

test('a member is there from its first connection until the grace time after its last', () => {
  const { presence, announced, recorded } = makePresence()
  presence.arrived(member)
  presence.arrived(member)
  presence.left(member)
  vi.advanceTimersByTime(100_000)
  expect([presence.isOnline(member), announced]).toEqual([true, [true]])
  const leftAt = Date.now()
  presence.left(member)
  vi.advanceTimersByTime(89_999)
  expect(presence.isOnline(member)).toBe(true)
  vi.advanceTimersByTime(1)
  expect([presence.isOnline(member), announced]).toEqual([false, [true, false]])
  expect(recorded.at(-1), 'it was last seen when it left, not when it was given up').toEqual({
    online: false,
    at: leftAt,
  })
})

test('a reconnect within the grace time makes no noise, however often', () => {
  const { presence, announced } = makePresence()
  presence.arrived(member)
  for (let n = 0; n < 5; n += 1) {
    presence.left(member)
    vi.advanceTimersByTime(80_000)
    presence.arrived(member)
  }
  expect(announced).toEqual([true])
})

test('after a restart those who were there have the grace time to come back', () => {
  const { presence, announced } = makePresence()
  const gone = { meshId: 'm', memberId: 'b' }
  presence.restore([member, gone])
  expect([presence.isOnline(member), presence.isOnline(gone)]).toEqual([true, true])
  presence.arrived(member)
  vi.advanceTimersByTime(90_000)
  expect([presence.isOnline(member), presence.isOnline(gone), announced]).toEqual([true, false, [false]])
})

test('when it closes nobody leaves', () => {
  const { presence, announced, recorded } = makePresence()
  presence.arrived(member)
  presence.left(member)
  presence.close()
  vi.advanceTimersByTime(1_000_000)
  expect([announced, recorded.length]).toEqual([[true], 1])
})
