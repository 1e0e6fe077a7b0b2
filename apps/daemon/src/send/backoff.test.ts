import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sendBackoffMsCap } from '../limits.ts'
import { backoffMs, delayMs } from './backoff.ts'

/** attempts, random, milliseconds */
const rows: readonly (readonly [number, number, number])[] = [
  [0, 0, 0],
  [0, 0.5, 250],
  [0, 0.999, 499],
  [1, 0.5, 500],
  [2, 0.5, 1_000],
  [6, 0.5, 16_000],
  [7, 0.5, 30_000],
  [8, 0.999, 59_940],
  [100_000, 0.5, 30_000],
]

describe('the backoff', () => {
  for (const [attempts, random, ms] of rows) {
    it(`after ${attempts} attempts, at ${random} of the jitter, is ${ms} ms`, () => {
      expect(backoffMs(attempts, random)).toBe(ms)
    })
  }

  it('stays within the cap and honours what the broker asked for up to it', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.nat(), random, fc.option(fc.nat(), { nil: undefined }), (attempts, value, retryAfterMs) => {
        const ms = delayMs({ attempts, random: value, retryAfterMs })
        expect(ms).toBeGreaterThanOrEqual(Math.min(retryAfterMs ?? 0, sendBackoffMsCap))
        expect(ms).toBeLessThanOrEqual(sendBackoffMsCap)
        expect(Number.isInteger(ms)).toBe(true)
      }),
    )
  })
})
