import { expect, test } from 'vitest'
import { InflightBound, TokenBucket } from './busy.ts'

test('what is over the bound is refused, and room that is given back is used again', () => {
  let max = 2
  const bound = new InflightBound(() => max)
  bound.enter()
  bound.enter()
  expect(() => bound.enter()).toThrow(expect.objectContaining({ code: 'daemon_busy' }))
  bound.leave()
  bound.enter()
  expect(bound.current).toBe(2)
  max = 3
  bound.enter()
  expect(bound.current).toBe(3)
})

test('idle resolves when the last request was answered', async () => {
  const bound = new InflightBound(() => 10)
  await bound.idle()
  bound.enter()
  bound.enter()
  let idle = false
  const waited = bound.idle().then(() => {
    idle = true
  })
  bound.leave()
  await Promise.resolve()
  expect(idle).toBe(false)
  bound.leave()
  await waited
  expect(idle).toBe(true)
})

test('a bucket gives a burst of one second, then refills at its rate', () => {
  let now = 0
  const bucket = new TokenBucket({ perSecond: 1000, monotonicMs: () => now })
  const take = (wanted: number) => {
    let taken = 0
    for (let i = 0; i < wanted; i += 1) {
      try {
        bucket.take()
        taken += 1
      } catch (error) {
        expect(error).toMatchObject({ code: 'rate_limited' })
      }
    }
    return taken
  }
  expect(take(1500)).toBe(1000)
  now = 100
  expect(take(1500)).toBe(100)
  now = 60_000
  expect(take(1500)).toBe(1000)
})
