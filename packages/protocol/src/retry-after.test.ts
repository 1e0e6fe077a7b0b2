import { describe, expect, test } from 'vitest'
import { parseRetryAfter } from './retry-after.ts'

const now = Date.UTC(2026, 10, 21, 8, 0, 0)
const headers: readonly { header: string | null; ms: number | null }[] = [
  { header: null, ms: null },
  { header: '0', ms: 0 },
  { header: '7', ms: 7_000 },
  { header: 'Sat, 21 Nov 2026 08:00:30 GMT', ms: 30_000 },
  { header: 'Sat, 21 Nov 2026 07:00:00 GMT', ms: 0 },
  { header: 'soon', ms: null },
]

describe('the Retry-After header', () => {
  for (const { header, ms } of headers) {
    test(`${header} is ${ms}`, () => {
      expect(parseRetryAfter(header, now)).toBe(ms)
    })
  }
})
