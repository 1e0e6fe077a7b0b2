import type { NegotiationRefusal } from '@claudemesh/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readCloseKind, readCloseReason, writeCloseReason } from './close-reason.ts'

const refusal: NegotiationRefusal = { kind: 'feature_unavailable', feature: 'work_queue', detail: 'not offered' }

test('a short reason is written whole', () => {
  expect(JSON.parse(writeCloseReason(refusal))).toEqual(refusal)
})

test('any reason fits a close frame and is JSON', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ maxLength: 150 }), (detail, feature) => {
      const reason = writeCloseReason({ kind: 'feature_param_invalid', feature, detail })
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123)
      expect(JSON.parse(reason)).toMatchObject({ kind: 'feature_param_invalid' })
    }),
  )
})

const kinds: readonly [reason: string, kind: string | null][] = [
  ['{"kind":"mesh_unknown"}', 'mesh_unknown'],
  [JSON.stringify(refusal), 'feature_unavailable'],
  ['{"kind":7}', null],
  ['{"kind":"<b>"}', null],
  ['null', null],
  ['mesh_unknown', null],
  ['', null],
]
for (const [reason, kind] of kinds) {
  test(`the kind of ${reason || 'nothing'} is ${kind}`, () => {
    expect(readCloseKind(reason)).toBe(kind)
  })
}

const rows: readonly [reason: string, text: string][] = [
  ['', ''],
  ['service restart', 'service restart'],
  [JSON.stringify(refusal), 'feature_unavailable: work_queue: not offered'],
  ['{"kind":"invite_used_up"}', 'invite_used_up'],
  ['{"kind":7}', '{"kind":7}'],
  ['{cut short', '{cut short'],
]
for (const [reason, text] of rows) {
  test(`${reason || 'nothing'} is read as ${text || 'nothing'}`, () => {
    expect(readCloseReason(reason)).toBe(text)
  })
}
