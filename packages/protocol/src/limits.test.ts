import { expect, test } from 'vitest'
import * as limits from './limits.ts'

test('every bound is a positive whole number', () => {
  for (const [name, bound] of Object.entries(limits)) {
    expect(Number.isSafeInteger(bound), name).toBe(true)
    expect(bound, name).toBeGreaterThan(0)
  }
})

test('the largest inline message fits into a frame by itself, sealed and in base64', () => {
  const sealedBytes = limits.inlineBytesDefault + limits.metaBytesMax + limits.sealedOverheadBytesMax
  expect(Math.ceil(sealedBytes / 3) * 4 + 4096).toBeLessThan(limits.frameBytesMax)
})

test('a peer may miss one ping before it is taken for gone', () => {
  expect(limits.silenceMsMax).toBeGreaterThan(2 * limits.pingIntervalMs)
})

test('the last time is the last that a calendar shows', () => {
  expect(new Date(limits.timeMax).toISOString()).toBe('+275760-09-13T00:00:00.000Z')
  expect(new Date(limits.timeMax + 1).getTime()).toBeNaN()
})
