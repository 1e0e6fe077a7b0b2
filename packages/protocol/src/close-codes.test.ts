import { describe, expect, test } from 'vitest'
import { type AfterClose, closeByCode, closeCodes } from './close-codes.ts'

describe('a close', () => {
  const rows: [code: number, name: string, after: AfterClose][] = [
    [1000, 'normal', 'reconnect'],
    [1008, 'protocol_violation', 'reconnect'],
    [1012, 'service_restart', 'reconnect'],
    [4001, 'unauthenticated', 'reconnect'],
    [4003, 'replaced_by_newer_connection', 'wait'],
    [4004, 'member_already_connected', 'wait'],
    [4005, 'member_revoked', 'exit'],
    [4008, 'slow_consumer', 'reconnect'],
    [4010, 'feature_unavailable', 'exit'],
    [4011, 'feature_param_invalid', 'exit'],
    [4012, 'feature_param_below_floor', 'exit'],
  ]
  test.each(rows)('with %i is %s, and then: %s', (code, name, after) => {
    expect(closeByCode(code)).toEqual({ code, name, after })
  })

  test('has no other code of ours', () => {
    expect(Object.values(closeCodes).map((entry) => entry.code)).toEqual(rows.map(([code]) => code))
  })

  test.each([0, 1001, 1005, 1006, 1011, 3000, 4000, 4002, 4999])('with %i is not ours', (code) => {
    expect(closeByCode(code)).toBeNull()
  })

  test('is listed under its own name', () => {
    for (const [name, entry] of Object.entries(closeCodes)) expect(entry.name).toBe(name)
  })
})
