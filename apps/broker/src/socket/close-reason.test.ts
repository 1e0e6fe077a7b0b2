import { expect, test } from 'vitest'
import { formatCloseReason } from './close-reason.ts'

const reasons = [
  { kind: 'invite_used_up' },
  { kind: 'feature_unavailable', feature: 'work_queue', detail: 'the broker does not offer this feature' },
  { kind: 'feature_unavailable', feature: 'work_queue', detail: 'x'.repeat(500) },
  { kind: 'feature_unavailable', feature: 'f'.repeat(64), detail: 'ä"\\'.repeat(60) },
  { kind: 'k'.repeat(300) },
]

test('a reason is always JSON that fits into a close frame and keeps its kind', () => {
  for (const reason of reasons) {
    const text = formatCloseReason(reason)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(123)
    expect(reason.kind.startsWith(JSON.parse(text).kind)).toBe(true)
  }
})

test('a reason that fits is left as it is', () => {
  expect(JSON.parse(formatCloseReason(reasons[1] ?? { kind: '' }))).toEqual(reasons[1])
})
