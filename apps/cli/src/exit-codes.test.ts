import { errorCatalogue } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { exitCodeByError, exitCodes } from './exit-codes.ts'

const promised: readonly (readonly [code: keyof typeof exitCodeByError, exitCode: number])[] = [
  ['invalid_usage', 64],
  ['recipient_unknown', 65],
  ['idempotency_key_reused', 65],
  ['daemon_unreachable', 69],
  ['internal_error', 70],
  ['mesh_exists', 73],
  ['storage_failed', 74],
  ['object_corrupt', 74],
  ['package_not_found', 66],
  ['insufficient_storage', 75],
  ['daemon_busy', 75],
  ['unsafe_permissions', 77],
  ['mesh_not_configured', 78],
]

describe('exit codes', () => {
  for (const [code, exitCode] of promised) {
    test(`${code} exits with ${exitCode}`, () => {
      expect(exitCodeByError[code]).toBe(exitCode)
    })
  }

  test('every error of the catalogue has one, and none is a success', () => {
    expect(Object.keys(exitCodeByError).sort()).toEqual(Object.keys(errorCatalogue).sort())
    expect(Object.values(exitCodeByError)).not.toContain(exitCodes.ok)
  })

  test('what can succeed later says so, unless nobody is there, the disk is the matter, or another writes the upload', () => {
    const later = Object.entries(errorCatalogue)
      .filter(([code, { retryable }]) => retryable && code !== 'upload_busy')
      .map(([code]) => code)
    const codes = new Set(later.map((code) => exitCodeByError[code as keyof typeof exitCodeByError]))
    expect([...codes].sort()).toEqual(
      [exitCodes.unavailable, exitCodes.software, exitCodes.io, exitCodes.tryLater].sort(),
    )
  })
})
