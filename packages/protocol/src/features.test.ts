import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { closeCodes } from './close-codes.ts'
import { featureBits, featuresRequiredByDefault, negotiate } from './features.ts'

const dedupe = { version: 2, mode: 'retention_scoped', dedupe_retention_days: 30, request_fingerprint: true }
const policy = { version: 1, default_policy: 'prefer_newest' }
const payload = { version: 1, inline_bytes: 65_536, blob_bytes: 1_048_576 }
const offered = { client_message_id_dedupe: dedupe, concurrent_connection_policy: policy, max_payload: payload }

function without(params: Readonly<Record<string, unknown>>, name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(params).filter(([key]) => key !== name))
}

describe('a broker that offers what is required', () => {
  test('is agreed with, without a warning', () => {
    expect(negotiate(featuresRequiredByDefault, offered)).toEqual({
      ok: true,
      agreement: { dedupe: { mode: 'retention_scoped', retentionDays: 30 }, features: offered },
      warnings: [],
    })
  })

  test('and never forgets ids has no number of days', () => {
    const permanent = { ...without(dedupe, 'dedupe_retention_days'), mode: 'permanent' }
    expect(negotiate(featuresRequiredByDefault, { ...offered, client_message_id_dedupe: permanent })).toMatchObject({
      ok: true,
      agreement: { dedupe: { mode: 'permanent', retentionDays: null } },
      warnings: [],
    })
  })

  test('and more, or in a newer form, keeps what it says beside the parameters known here', () => {
    const newer = { ...offered, max_payload: { ...payload, later: true }, invented_later: { version: 9 } }
    expect(negotiate(featuresRequiredByDefault, newer)).toEqual({
      ok: true,
      agreement: {
        dedupe: { mode: 'retention_scoped', retentionDays: 30 },
        features: { ...offered, max_payload: { ...payload, later: true } },
      },
      warnings: [],
    })
  })

  test('is required by default to have the two bits that exactly-once rests on', () => {
    expect(featuresRequiredByDefault).toEqual(['client_message_id_dedupe', 'concurrent_connection_policy'])
  })
})

describe('a required bit', () => {
  const bit = 'client_message_id_dedupe'
  const rows: { name: string; params: unknown; kind: string; code: number }[] = [
    { name: 'that is absent', params: undefined, kind: 'feature_unavailable', code: 4010 },
    { name: 'of null', params: null, kind: 'feature_param_invalid', code: 4011 },
    { name: 'of a list', params: [2], kind: 'feature_param_invalid', code: 4011 },
    { name: 'of a text', params: 'yes', kind: 'feature_param_invalid', code: 4011 },
    { name: 'without parameters', params: {}, kind: 'feature_param_invalid', code: 4011 },
    { name: 'of an older version', params: { ...dedupe, version: 1 }, kind: 'feature_param_invalid', code: 4011 },
    { name: 'of a newer version', params: { ...dedupe, version: 3 }, kind: 'feature_param_invalid', code: 4011 },
    {
      name: 'with its version as text',
      params: { ...dedupe, version: '2' },
      kind: 'feature_param_invalid',
      code: 4011,
    },
    { name: 'without version', params: without(dedupe, 'version'), kind: 'feature_param_invalid', code: 4011 },
    { name: 'of an unknown mode', params: { ...dedupe, mode: 'forever' }, kind: 'feature_param_invalid', code: 4011 },
    { name: 'without mode', params: without(dedupe, 'mode'), kind: 'feature_param_invalid', code: 4011 },
    {
      name: 'without fingerprints',
      params: { ...dedupe, request_fingerprint: false },
      kind: 'feature_param_invalid',
      code: 4011,
    },
    {
      name: 'that forgets after no number of days',
      params: without(dedupe, 'dedupe_retention_days'),
      kind: 'feature_param_invalid',
      code: 4011,
    },
    {
      name: 'with days as text',
      params: { ...dedupe, dedupe_retention_days: '30' },
      kind: 'feature_param_invalid',
      code: 4011,
    },
    {
      name: 'with half a day',
      params: { ...dedupe, dedupe_retention_days: 30.5 },
      kind: 'feature_param_invalid',
      code: 4011,
    },
    {
      name: 'with six days',
      params: { ...dedupe, dedupe_retention_days: 6 },
      kind: 'feature_param_below_floor',
      code: 4012,
    },
    {
      name: 'with no days',
      params: { ...dedupe, dedupe_retention_days: 0 },
      kind: 'feature_param_below_floor',
      code: 4012,
    },
  ]
  test.each(rows)('$name is refused: $kind ($code)', ({ params, kind, code }) => {
    const supported = params === undefined ? without(offered, bit) : { ...offered, [bit]: params }
    const outcome = negotiate(featuresRequiredByDefault, supported)
    expect(outcome).toEqual({ ok: false, refusal: { kind, feature: bit, detail: expect.stringMatching(/./) } })
    expect(closeCodes[kind as 'feature_unavailable'].code).toBe(code)
  })

  test('with seven days is at the floor and accepted', () => {
    const supported = { ...offered, [bit]: { ...dedupe, dedupe_retention_days: 7 } }
    expect(negotiate(featuresRequiredByDefault, supported)).toMatchObject({
      ok: true,
      agreement: { dedupe: { retentionDays: 7 } },
    })
  })

  test('that this version does not know cannot be used, even if the broker has it', () => {
    expect(negotiate(['invented_later'], { ...offered, invented_later: { version: 1 } })).toMatchObject({
      ok: false,
      refusal: { kind: 'feature_param_invalid', feature: 'invented_later' },
    })
    expect(negotiate(['toString'], offered)).toMatchObject({ ok: false, refusal: { kind: 'feature_unavailable' } })
  })

  test('is judged in the order of the requirement: the first fault is the one told', () => {
    const supported = { concurrent_connection_policy: { version: 7 } }
    expect(negotiate(['concurrent_connection_policy', bit], supported)).toMatchObject({
      refusal: { feature: 'concurrent_connection_policy', kind: 'feature_param_invalid' },
    })
    expect(negotiate([bit, 'concurrent_connection_policy'], supported)).toMatchObject({
      refusal: { feature: bit, kind: 'feature_unavailable' },
    })
  })
})

describe('an optional parameter that is invalid', () => {
  const rows: { name: string; bit: string; params: Record<string, unknown>; parameter: string }[] = [
    {
      name: 'an unknown policy',
      bit: 'concurrent_connection_policy',
      params: { version: 1, default_policy: 'prefer_loudest' },
      parameter: 'default_policy',
    },
    {
      name: 'a policy of another type',
      bit: 'concurrent_connection_policy',
      params: { version: 1, default_policy: null },
      parameter: 'default_policy',
    },
    {
      name: 'days of a broker that never forgets',
      bit: 'client_message_id_dedupe',
      params: { version: 2, mode: 'permanent', dedupe_retention_days: 'all', request_fingerprint: true },
      parameter: 'dedupe_retention_days',
    },
  ]
  test.each(rows)('($name) gives way to its default with a warning, also in a required bit', (row) => {
    const outcome = negotiate(featuresRequiredByDefault, { ...offered, [row.bit]: row.params })
    expect(outcome).toMatchObject({
      ok: true,
      agreement: { features: { [row.bit]: without(row.params, row.parameter) } },
      warnings: [expect.stringContaining(row.parameter)],
    })
    if (outcome.ok)
      expect(Object.keys(outcome.agreement.features[row.bit as 'max_payload'] ?? {})).not.toContain(row.parameter)
  })
})

describe('an optional bit', () => {
  const rows: { name: string; bit: string; params: unknown }[] = [
    { name: 'of an unknown version', bit: 'max_payload', params: { ...payload, version: 2 } },
    { name: 'with a limit below the least', bit: 'max_payload', params: { ...payload, inline_bytes: 1023 } },
    { name: 'without a required parameter', bit: 'max_payload', params: without(payload, 'blob_bytes') },
    { name: 'of another type', bit: 'mention_index', params: true },
  ]
  test.each(rows)('$name is left out with a warning', ({ bit, params }) => {
    const outcome = negotiate(featuresRequiredByDefault, { ...offered, [bit]: params })
    expect(outcome).toMatchObject({ ok: true, warnings: [expect.stringContaining(bit)] })
    if (outcome.ok) expect(Object.keys(outcome.agreement.features)).not.toContain(bit)
  })

  test('that is absent is no reason for a warning', () => {
    expect(negotiate([], {})).toEqual({ ok: true, agreement: { dedupe: null, features: {} }, warnings: [] })
  })

  test('about ids that a broker forgets after no number of days is left out', () => {
    const supported = { client_message_id_dedupe: without(dedupe, 'dedupe_retention_days') }
    expect(negotiate([], supported)).toMatchObject({
      ok: true,
      agreement: { dedupe: null, features: {} },
      warnings: [expect.stringContaining('dedupe_retention_days')],
    })
  })

  test('below the floor is refused also when it is not required: sends would not be exactly once', () => {
    const supported = { client_message_id_dedupe: { ...dedupe, dedupe_retention_days: 6 } }
    expect(negotiate([], supported)).toMatchObject({ ok: false, refusal: { kind: 'feature_param_below_floor' } })
  })
})

test('whatever a broker answers, it is judged without throwing, and the reason of a refusal is short', () => {
  const params = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        version: fc.constantFrom<unknown>(1, 2, '2', null),
        mode: fc.constantFrom<unknown>('retention_scoped', 'permanent', 'x', 1),
        dedupe_retention_days: fc.oneof(fc.integer(), fc.double(), fc.string()),
        request_fingerprint: fc.constantFrom<unknown>(true, false, 1),
        default_policy: fc.constantFrom<unknown>('prefer_newest', 'x', null),
      },
      { requiredKeys: [] },
    ),
  )
  const supported = fc.dictionary(fc.oneof(fc.constantFrom(...featureBits), fc.string()), params, { maxKeys: 6 })
  fc.assert(
    fc.property(fc.subarray([...featureBits]), supported, (required, answer) => {
      const outcome = negotiate(required, answer)
      if (!outcome.ok) {
        expect(outcome.refusal.detail.length).toBeLessThanOrEqual(96)
        return
      }
      for (const bit of required) expect(Object.keys(outcome.agreement.features)).toContain(bit)
      for (const bit of Object.keys(outcome.agreement.features)) expect(featureBits).toContain(bit)
    }),
  )
})
