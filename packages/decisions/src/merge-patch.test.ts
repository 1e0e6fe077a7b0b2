import type { JsonValue } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyComposed, type ComposedPatch, composePatch, mergePatch } from './merge-patch.ts'

// RFC 7396, appendix A.
const rows: readonly [JsonValue, JsonValue, JsonValue][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

describe('a merge patch', () => {
  test.each(rows)('makes of %j by %j %j', (target, patch, merged) => {
    expect(mergePatch(target, patch)).toEqual(merged)
  })

  test('takes a name that every object has for a name like any other', () => {
    const patch = JSON.parse('{"__proto__":{"a":1},"toString":{"b":2}}')
    expect(JSON.stringify(mergePatch({}, patch))).toBe('{"__proto__":{"a":1},"toString":{"b":2}}')
    expect(mergePatch({}, { toString: null })).toEqual({})
  })
})

// Few names and few values, so that patches meet.
const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<JsonValue>(null, 1, 'x', [null], []),
    fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), tie('value'), { maxKeys: 3 }) as fc.Arbitrary<JsonValue>,
  ),
}))

test('patches composed are patches applied in turn, to any value', () => {
  fc.assert(
    fc.property(value, fc.array(value, { minLength: 1, maxLength: 5 }), (target, patches) => {
      let composed: ComposedPatch | null = null
      for (const patch of patches) composed = composePatch(composed, patch)
      expect(applyComposed(target, composed as ComposedPatch)).toEqual(patches.reduce(mergePatch, target))
    }),
    { numRuns: 5_000 },
  )
})
