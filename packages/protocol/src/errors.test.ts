import { describe, expect, test } from 'vitest'
import { errorCatalogue, isErrorCode } from './errors.ts'

const entries = Object.entries(errorCatalogue)

describe('the catalogue', () => {
  test.each(entries)('%s is complete', (code, definition) => {
    expect(code).toMatch(/^[a-z][a-z0-9_]*$/)
    expect(code.length).toBeLessThanOrEqual(64)
    expect(definition.status).toBeGreaterThanOrEqual(400)
    expect(definition.status).toBeLessThanOrEqual(599)
    expect(definition.title).toMatch(/^[A-Z].*[^.]$/)
    expect(definition.hint).toMatch(/^[A-Z].*\.$/)
  })

  test('no two codes say the same', () => {
    const titles = entries.map(([, definition]) => definition.title)
    expect(new Set(titles).size).toBe(titles.length)
  })

  const alwaysRetryable = [429, 503, 504, 507]
  const neverRetryable = [400, 401, 403, 404, 410, 413, 415, 422, 501]
  test.each(entries)('%s: whether it is retryable agrees with its status', (_code, definition) => {
    if (alwaysRetryable.includes(definition.status)) expect(definition.retryable).toBe(true)
    if (neverRetryable.includes(definition.status)) expect(definition.retryable).toBe(false)
  })
})

describe('isErrorCode', () => {
  test('knows every code of the catalogue', () => {
    for (const [code] of entries) expect(isErrorCode(code)).toBe(true)
  })

  test.each(['', 'invented_later', 'toString', '__proto__', 'constructor', 404, null, undefined, {}])(
    '%s is none',
    (code) => {
      expect(isErrorCode(code)).toBe(false)
    },
  )
})
