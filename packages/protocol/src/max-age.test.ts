import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  dedupeRetentionDaysMin,
  maxAgeHours,
  maxAgeHoursBeforeNegotiation,
  maxAgeOverrideLimitHours,
} from './max-age.ts'

const permanentDefaultHours = 168

describe('with a broker that forgets after a number of days', () => {
  const rows: [retentionDays: number, hours: number][] = [
    [7, 144],
    [8, 168],
    [10, 216],
    [11, 237],
    [14, 302],
    [30, 648],
    [70, 1512],
    [365, 7884],
  ]
  test.each(rows)('%i days give %i hours', (retentionDays, hours) => {
    expect(maxAgeHours({ mode: 'retention_scoped', retentionDays }, permanentDefaultHours)).toBe(hours)
  })

  test('the margin is a tenth of the window in whole hours, and never less than a day', () => {
    fc.assert(
      fc.property(fc.integer({ min: dedupeRetentionDaysMin, max: 100_000 }), (retentionDays) => {
        const margin = retentionDays * 24 - maxAgeHours({ mode: 'retention_scoped', retentionDays }, 0)
        expect(margin).toBe(Math.max(24, Number((BigInt(retentionDays) * 24n + 9n) / 10n)))
        expect(retentionDays * 24 - margin).toBeLessThanOrEqual(maxAgeOverrideLimitHours(retentionDays))
      }),
    )
  })
})

describe('with a broker that never forgets', () => {
  const rows: [configuredHours: number, hours: number][] = [
    [168, 168],
    [1, 1],
    [720, 720],
    [721, 720],
    [10_000, 720],
  ]
  test.each(rows)('%i configured hours give %i', (configuredHours, hours) => {
    expect(maxAgeHours({ mode: 'permanent' }, configuredHours)).toBe(hours)
  })
})

test('before the first negotiation the shortest window applies', () => {
  const retentionDays = dedupeRetentionDaysMin
  expect(maxAgeHours({ mode: 'retention_scoped', retentionDays }, permanentDefaultHours)).toBe(
    maxAgeHoursBeforeNegotiation,
  )
})

test('an override may reach a day short of the window', () => {
  expect(maxAgeOverrideLimitHours(7)).toBe(144)
  expect(maxAgeOverrideLimitHours(30)).toBe(696)
})
