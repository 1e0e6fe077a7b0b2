import { describe, expect, test } from 'vitest'
import { encodeCanonical } from './cbor.ts'
import { jcs } from './jcs.ts'

class Point {
  readonly x = 1
}
const cycle: Record<string, unknown> = { a: [] }
cycle['a'] = [cycle]
const doubling = Array.from({ length: 31 }).reduce<unknown>((inner) => [inner, inner], 1)
const hole = [1, 2, 3]
delete hole[1]

const refused: readonly (readonly [what: string, value: unknown, path: string])[] = [
  ['undefined', undefined, '$'],
  ['a fraction', { files: [1, 2, { size_bytes: 1.5 }] }, '$.files[2].size_bytes'],
  ['NaN', [Number.NaN], '$[0]'],
  ['an infinity', [Number.POSITIVE_INFINITY], '$[0]'],
  ['the negative zero', { a: -0 }, '$.a'],
  ['2^53', 2 ** 53, '$'],
  ['a bigint', [1n], '$[0]'],
  ['a symbol', [Symbol('a')], '$[0]'],
  ['a function', { f: () => 1 }, '$.f'],
  ['a member that is undefined', { a: undefined }, '$.a'],
  ['bytes', { b: Buffer.from('a') }, '$.b'],
  ['a date', new Date(0), '$'],
  ['a Map', new Map(), '$'],
  ['an instance of a class', new Point(), '$'],
  ['an array of a class', new (class List extends Array {})(), '$'],
  ['an array with a hole', hole, '$'],
  ['an array with a member beside its items', Object.assign([1], { extra: 1 }), '$'],
  [
    'an accessor',
    {
      get a() {
        return 1
      },
    },
    '$.a',
  ],
  ['a hidden member', Object.defineProperty({}, 'a', { value: 1 }), '$.a'],
  ['a symbol as a key', { [Symbol('a')]: 1 }, '$'],
  ['a cycle', cycle, '$.a[0]'],
  ['a lone surrogate', ['\ud800'], '$[0]'],
  ['a lone surrogate in a key', { '\ud800': 1 }, 'a key in $'],
  ['U+0000', { 'a b': '\u0000' }, '$["a b"]'],
]

describe('what is no canonical value', () => {
  test.each(refused)('%s is refused by both forms, with its path', (_, value, path) => {
    for (const form of [encodeCanonical, jcs]) {
      expect(() => form(value)).toThrow(expect.objectContaining({ code: 'not_canonical', path }))
    }
  })

  test('33 containers within each other', () => {
    const nested = (depth: number) => Array.from({ length: depth }).reduce<unknown>((inner) => [inner], 1)
    expect(() => encodeCanonical(nested(32))).not.toThrow()
    expect(() => encodeCanonical(nested(33))).toThrow(expect.objectContaining({ code: 'not_canonical' }))
  })

  test('a small value that repeats itself into billions of values ends with an error', () => {
    expect(() => encodeCanonical(doubling)).toThrow(/more than 4000000 values/)
  })
})

test('a value that stands at two places is two values', () => {
  const shared = { a: 1 }
  expect(Buffer.from(jcs([shared, shared])).toString()).toBe('[{"a":1},{"a":1}]')
})

test('an object without a prototype is a map', () => {
  expect(Buffer.from(jcs(Object.assign(Object.create(null), { b: 1, a: 2 }))).toString()).toBe('{"a":2,"b":1}')
})
