import { expect, test } from 'vitest'
import { queueWaitsPerMemberMax } from '../limits.ts'
import { QueueWaits, type Wait, type Wake } from './queue-waits.ts'

const key = { meshId: 'mesh', queue: 'jobs' }
const bob = { meshId: 'mesh', memberId: 'bob' }
const never = new AbortController().signal

function begin(waits: QueueWaits, of = key): Wait {
  const wait = waits.begin(of, bob)
  if (wait === null) throw new Error('too many wait')
  return wait
}

/** Somebody who waits, and what became of it so far. */
function waiter(waits: QueueWaits, of = key, signal: AbortSignal = never, ms = 60_000) {
  const state: { woken: Wake | null | 'waits' } = { woken: 'waits' }
  const ended = begin(waits, of)
    .until({ ms, signal })
    .then((wake) => {
      state.woken = wake
      return wake
    })
  return { state, ended }
}

/** Whatever was resolved has been told. */
const told = () => new Promise((resolve) => setImmediate(resolve))

test('those who have waited longest are woken, one for each message', async () => {
  const waits = new QueueWaits()
  const waiters = [1, 2, 3].map(() => waiter(waits))
  const elsewhere = waiter(waits, { meshId: 'mesh', queue: 'other' })
  waits.wake(key, 2)
  await told()
  expect(waiters.map(({ state }) => state.woken !== 'waits')).toEqual([true, true, false])
  expect(elsewhere.state.woken).toBe('waits')
  expect(waits.size).toBe(2)
  waits.wakeMesh('mesh')
  await told()
  expect(elsewhere.state.woken).not.toBe('waits')
  expect(waits.size).toBe(0)
})

test('what comes before somebody looks is not lost to it', async () => {
  const waits = new QueueWaits()
  const wait = begin(waits)
  waits.wake(key, 1)
  expect(await wait.until({ ms: 60_000, signal: never })).not.toBeNull()
})

test('a wake that nobody can use is handed to each of those who waited, and then it is over', async () => {
  const waits = new QueueWaits()
  let looked = 0
  const look = async () => {
    let wake = await begin(waits).until({ ms: 60_000, signal: never })
    while (wake !== null) {
      looked += 1
      // It begins to wait before it looks, and finds nothing that it can have.
      const again = begin(waits)
      waits.pass(key, wake)
      wake = await again.until({ ms: 60_000, signal: never })
    }
  }
  for (let n = 0; n < 5; n += 1) void look()
  waits.wake(key, 1)
  for (let n = 0; n < 20; n += 1) await told()
  expect(looked).toBe(5)
})

test('the time, the signal and a cancel end a wait', async () => {
  const waits = new QueueWaits()
  expect(await waiter(waits, key, never, 1).ended).toBeNull()
  const ending = new AbortController()
  const { ended } = waiter(waits, key, ending.signal)
  ending.abort()
  expect(await ended).toBeNull()
  expect(await waiter(waits, key, ending.signal).ended).toBeNull()
  begin(waits).cancel()
  expect(waits.size).toBe(0)
})

test('a member has so many waits and no more, wherever it waits', () => {
  const waits = new QueueWaits()
  const begun = Array.from({ length: queueWaitsPerMemberMax }, (_, n) => begin(waits, { ...key, queue: `queue-${n}` }))
  expect(waits.begin(key, bob)).toBeNull()
  expect(waits.begin(key, { ...bob, memberId: 'carol' })).not.toBeNull()
  begun[0]?.cancel()
  begun[0]?.cancel()
  expect(waits.begin(key, bob)).not.toBeNull()
  expect(waits.begin(key, bob)).toBeNull()
})
