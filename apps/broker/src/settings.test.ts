import { expect, test } from 'vitest'
import { assertRetention, dedupeExpiry, settingsOf } from './settings.ts'

const defaults = {
  dedupeMode: 'retention_scoped',
  dedupeRetentionDays: 30,
  messageRetentionDays: 30,
  concurrencyPolicy: 'prefer_newest',
  blobQuotaBytes: 4_096,
} as const
const dayMs = 86_400_000

const expiries = [
  { settings: defaults, days: 30 },
  { settings: { ...defaults, messageRetentionDays: 7 }, days: 30 },
  { settings: { ...defaults, dedupeRetentionDays: 365 }, days: 365 },
  { settings: { ...defaults, dedupeMode: 'permanent' as const }, days: null },
]

test('an id is remembered for as long as the daemons are told', () => {
  for (const { settings, days } of expiries) {
    expect(dedupeExpiry(settings, 1_000)).toBe(days === null ? null : 1_000 + days * dayMs)
  }
})

const retentions = [
  { settings: defaults, refused: false },
  { settings: { ...defaults, messageRetentionDays: 31 }, refused: true },
  { settings: { ...defaults, dedupeRetentionDays: 29 }, refused: true },
  { settings: { ...defaults, dedupeRetentionDays: 7, messageRetentionDays: 7 }, refused: false },
  { settings: { ...defaults, dedupeMode: 'permanent' as const, messageRetentionDays: 365 }, refused: false },
]

test('messages are not kept for longer than their ids', () => {
  for (const { settings, refused } of retentions) {
    const check = () => assertRetention(settings, 'the settings of this test')
    if (refused) expect(check).toThrow(/the settings of this test: messages are kept for/)
    else expect(check).not.toThrow()
  }
})

test('a mesh has its own settings where it has some', () => {
  const mesh = {
    meshId: 'm',
    slug: 's',
    rootKey: 'k',
    dedupeMode: null,
    dedupeRetentionDays: 90,
    messageRetentionDays: null,
    concurrencyPolicy: 'prefer_oldest',
    blobQuotaBytes: 9_000,
  } as const
  expect(settingsOf(mesh, defaults)).toEqual({
    ...defaults,
    dedupeRetentionDays: 90,
    concurrencyPolicy: 'prefer_oldest',
    blobQuotaBytes: 9_000,
  })
})
