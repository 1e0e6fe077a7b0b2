import { expect, test } from 'vitest'
import { assertMaxAgeOverride, type DedupePromise, effectiveMaxAgeHours } from './max-age-policy.ts'

const scoped = (retentionDays: number): DedupePromise => ({ mode: 'retention_scoped', retentionDays })
const permanent: DedupePromise = { mode: 'permanent', retentionDays: null }

test('the age follows from the broker, or from the override where there is one', () => {
  const rows: [promise: DedupePromise, override: number | null, standard: number, hours: number][] = [
    [scoped(7), null, 168, 144],
    [scoped(30), null, 168, 648],
    [scoped(365), null, 168, 7884],
    [permanent, null, 168, 168],
    [permanent, null, 2000, 720],
    [permanent, 1000, 168, 1000],
    [scoped(30), 12, 168, 12],
    [scoped(30), 696, 168, 696],
    [null, null, 168, 144],
    [null, 12, 168, 12],
    [null, 1000, 168, 144],
  ]
  for (const [promise, maxAgeHoursOverride, maxAgeHoursDefault, hours] of rows) {
    const found = effectiveMaxAgeHours({ maxAgeHoursDefault, maxAgeHoursOverride }, promise)
    expect([promise, maxAgeHoursOverride, found]).toEqual([promise, maxAgeHoursOverride, hours])
  }
})

test('an override is refused exactly when it outlives what the broker remembers', () => {
  const rows: [promise: DedupePromise, override: number | null, refused: boolean][] = [
    [scoped(7), 144, false],
    [scoped(7), 145, true],
    [scoped(30), 696, false],
    [scoped(30), 697, true],
    [permanent, 100_000, false],
    [null, 100_000, false],
    [scoped(7), null, false],
  ]
  for (const [promise, maxAgeHoursOverride, refused] of rows) {
    const judge = () => assertMaxAgeOverride({ maxAgeHoursDefault: 168, maxAgeHoursOverride }, promise)
    if (!refused) expect(judge).not.toThrow()
    else expect(judge).toThrow(expect.objectContaining({ code: 'outbox_max_age_above_dedupe_window' }))
  }
})
