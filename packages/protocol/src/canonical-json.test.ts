import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, findUncarriable, isCanonicalText, isCarriableText, type JsonValue } from './canonical-json.ts'

const vectors = new URL('../vectors/jcs/', import.meta.url)

function readVector(path: string): string {
  return readFileSync(new URL(path, vectors), 'utf8')
}

function nested(depth: number): JsonValue {
  let value: JsonValue = 1
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

/** JSON that can be carried: well-formed texts without U+0000. */
const carriableText = fc.string({ unit: 'grapheme' }).filter(isCarriableText)
const { value: carriableJson } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    carriableText,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(carriableText, tie('value'), { maxKeys: 5 }),
  ),
}))

describe('the vectors of RFC 8785', () => {
  test.each(readdirSync(new URL('input/', vectors)))('%s', (name) => {
    const canonical = canonicalJson(JSON.parse(readVector(`input/${name}`)) as JsonValue)
    expect(canonical).toBe(readVector(`output/${name}`))
    const hex = readVector(`outhex/${name.replace('.json', '.txt')}`).replaceAll(/\s/g, '')
    expect(Buffer.from(canonical, 'utf8').toString('hex')).toBe(hex)
  })

  test('numbers are written as ECMAScript writes them', () => {
    const { sequences } = JSON.parse(readVector('es6_number_sequence.json')) as {
      sequences: { lines: number; sha256: string }[]
    }
    const wanted = sequences.filter((sequence) => sequence.lines <= 100_000)
    expect(wanted.length).toBe(3)
    const hash = createHash('sha256')
    const words = numberSequence()
    let lines = 0
    for (const { lines: linesWanted, sha256 } of wanted) {
      for (; lines < linesWanted; lines += 1) {
        const word = words.next().value ?? 0n
        hash.update(`${word.toString(16)},${canonicalJson(doubleOf(word))}\n`)
      }
      expect(hash.copy().digest('hex'), `${linesWanted} lines`).toBe(sha256)
    }
  })
})

describe('a canonical form', () => {
  test('means the same value', () => {
    fc.assert(
      fc.property(carriableJson, (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('does not depend on the order of members', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(carriableText, carriableJson), { maxLength: 8 }), (entries) => {
        const unique = [...new Map(entries)]
        expect(canonicalJson(Object.fromEntries(unique.toReversed()))).toBe(canonicalJson(Object.fromEntries(unique)))
      }),
    )
  })

  test('of a canonical form is the same', () => {
    fc.assert(
      fc.property(carriableJson, (value) => {
        const canonical = canonicalJson(value)
        expect(canonicalJson(JSON.parse(canonical) as JsonValue)).toBe(canonical)
      }),
    )
  })

  test('keeps a member named __proto__', () => {
    expect(canonicalJson(JSON.parse('{"z":1,"__proto__":{"a":2}}') as JsonValue)).toBe('{"__proto__":{"a":2},"z":1}')
  })

  const without: { name: string; value: unknown }[] = [
    { name: 'NaN', value: [Number.NaN] },
    { name: 'an infinity', value: { a: Number.NEGATIVE_INFINITY } },
    { name: 'nothing at all', value: undefined },
    { name: 'a big integer', value: 1n },
    { name: 'a lone surrogate', value: ['\ud800'] },
    { name: 'a lone surrogate in a key', value: { '\udc00': 1 } },
    { name: 'U+0000', value: 'a\u0000b' },
    { name: 'too many levels', value: nested(257) },
    { name: 'levels without an end', value: nested(200_000) },
  ]
  test.each(without)('$name has none', ({ value }) => {
    expect(() => canonicalJson(value as JsonValue)).toThrow(TypeError)
  })

  test('is given for as many levels as are allowed', () => {
    expect(JSON.parse(canonicalJson(nested(256)))).toEqual(nested(256))
  })
})

describe('findUncarriable', () => {
  const rows: { value: JsonValue; depthMax: number; fault: string | null }[] = [
    { value: 'plain', depthMax: 0, fault: null },
    { value: { a: [1, 'b'] }, depthMax: 2, fault: null },
    { value: { a: [1, 'b'] }, depthMax: 1, fault: '$.a nests deeper than 1 levels' },
    { value: [], depthMax: 0, fault: '$ nests deeper than 0 levels' },
    { value: { a: ['ok', 'x\u0000'] }, depthMax: 9, fault: '$.a.1 contains U+0000 or a lone surrogate' },
    { value: { a: { '\ud800': 1 } }, depthMax: 9, fault: 'a key in $.a contains U+0000 or a lone surrogate' },
  ]
  test.each(rows)('of $value with at most $depthMax levels is $fault', ({ value, depthMax, fault }) => {
    expect(findUncarriable(value, depthMax)).toBe(fault)
  })

  test('finds nothing exactly when there is a canonical form', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 }), (value) => {
        const carriable = findUncarriable(value as JsonValue, 256) === null
        if (carriable) expect(() => canonicalJson(value as JsonValue)).not.toThrow()
        else expect(() => canonicalJson(value as JsonValue)).toThrow(TypeError)
      }),
    )
  })
})

describe('a text that is canonical', () => {
  const says = (text: string, depthMax = 256) => isCanonicalText(text, JSON.parse(text), depthMax)

  test('is never one that canonicalJson writes otherwise', () => {
    const text = fc.oneof(
      fc.json(),
      fc.json({ stringUnit: 'binary' }),
      fc.jsonValue().map((value) => JSON.stringify(value, null, 1)),
      fc.constantFrom(
        '{"9":1,"10":2}',
        '{"10":2,"9":1}',
        '"\\ud800"',
        '"\\u0000"',
        '-0',
        '1.0',
        '1e400',
        '{"a":1,"a":1}',
      ),
    )
    fc.assert(
      fc.property(text, (one) => {
        if (says(one)) expect(canonicalJson(JSON.parse(one))).toBe(one)
      }),
      { numRuns: 5_000 },
    )
  })

  test('is known as such where its keys are words and nothing is escaped', () => {
    const word = fc.stringMatching(/^[a-zé]{1,4}$/)
    const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<JsonValue>(null, true, 0, 1.5, 1e21, 'x', '\n'),
        fc.array(tie('value')) as fc.Arbitrary<JsonValue>,
        fc.dictionary(word, tie('value')) as fc.Arbitrary<JsonValue>,
      ),
    }))
    fc.assert(
      fc.property(value, (one) => {
        expect(says(canonicalJson(one))).toBe(true)
      }),
    )
  })

  test('nests no deeper than is said', () => {
    expect([says('[[1]]', 2), says('[[1]]', 1), says('1', 0)]).toEqual([true, false, true])
  })
})

const scratch = new DataView(new ArrayBuffer(8))

function doubleOf(word: bigint): number {
  scratch.setBigUint64(0, word)
  return scratch.getFloat64(0)
}

/**
 * The deterministic sequence of doubles that the hashes of the vectors are over: first a fixed table, then 2000
 * neighbours, then whatever repeated SHA-256 yields; read from the description that comes with the vectors.
 */
function* numberSequence(): Generator<bigint, never> {
  const description = readVector('UPSTREAM-README.md')
  const table = description.slice(description.indexOf('staticU64s = '), description.indexOf('staticF64s = '))
  for (const [, hex] of table.matchAll(/0x([0-9a-f]{16})n/g)) yield BigInt(`0x${hex}`)
  for (let index = 0n; index < 2000n; index += 1n) yield 0x0010000000000000n + index
  let block: Buffer = Buffer.alloc(32)
  while (true) {
    block = createHash('sha256').update(block).digest()
    for (let offset = 0; offset < block.length; offset += 8) {
      const word = block.readBigUInt64LE(offset)
      const number = doubleOf(word)
      if (number !== 0 && Number.isFinite(number)) yield word
    }
  }
}
