import { readFileSync } from 'node:fs'
import { decode as decodeAny } from 'cborg'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ArtifactError } from '../artifact-error.ts'
import { decodeCanonical, encodeCanonical } from './cbor.ts'
import { type CanonicalValue, itemsMax } from './value.ts'

const vectors = new URL('../../vectors/cbor/', import.meta.url)
const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

function codeOf(input: Uint8Array, maxBytes = 1024 * 1024): string {
  try {
    decodeCanonical(input, { maxBytes })
    return 'accepted'
  } catch (error) {
    if (error instanceof ArtifactError) return error.code
    throw error
  }
}

/** Every kind of canonical value, among them keys that a careless map would lose. */
const canonicalValue: fc.Arbitrary<CanonicalValue> = fc.letrec<{ value: CanonicalValue }>((tie) => {
  const text = fc.string({ unit: 'grapheme' }).filter((word) => word.isWellFormed() && !word.includes('\u0000'))
  const key = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'toString', '', 'aa', 'z'))
  const map = fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }).map((entries) => {
    const object = {}
    for (const [name, value] of entries) {
      Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
    }
    return object as CanonicalValue
  })
  return {
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<CanonicalValue>(null, true, false, 0, -1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32),
      fc.maxSafeInteger().filter((number) => !Object.is(number, -0)),
      text,
      fc.array(tie('value'), { maxLength: 6 }),
      map,
    ),
  }
}).value

describe('canonical CBOR', () => {
  test('what is encoded is decoded to the same value, and encodes to the same bytes', () => {
    fc.assert(
      fc.property(canonicalValue, (value) => {
        const encoded = encodeCanonical(value)
        const decoded = decodeCanonical(encoded)
        expect(decoded).toEqual(value)
        expect(Buffer.from(encodeCanonical(decoded))).toEqual(Buffer.from(encoded))
      }),
      { numRuns: 1000 },
    )
  })

  test('whatever bytes come: they are refused with a code, or they are what encoding writes', () => {
    let accepted = 0
    const byteFlips = fc.tuple(canonicalValue, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
      const encoded = Buffer.from(encodeCanonical(value))
      encoded[at % encoded.length] = byte
      return encoded
    })
    fc.assert(
      fc.property(fc.oneof(byteFlips, fc.uint8Array({ maxLength: 40 })), (input) => {
        const code = codeOf(input)
        expect(code).toMatch(/^(cbor_|accepted)/)
        if (code !== 'accepted') return
        accepted += 1
        expect(Buffer.from(encodeCanonical(decodeCanonical(input)))).toEqual(Buffer.from(input))
      }),
      { numRuns: 3000 },
    )
    expect(accepted).toBeGreaterThan(100)
  })

  test('keys are sorted by length, then bytes', () => {
    expect(Buffer.from(encodeCanonical({ aa: 1, z: 2 })).toString('hex')).toBe('a2617a0262616101')
  })

  test('a map with a key __proto__ is a map with one key', () => {
    const decoded = decodeCanonical(bytes('a1 69 5f5f70726f746f5f5f a1 6161 01'))
    expect(Object.keys(decoded as object)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
  })
})

const refused: readonly (readonly [code: string, hex: string, what: string])[] = [
  ['cbor_truncated', '', 'nothing'],
  ['cbor_truncated', '18', 'a head without its byte'],
  ['cbor_truncated', '1b 00000000000000', 'a head one byte short'],
  ['cbor_truncated', '62 61', 'a text one byte short'],
  ['cbor_truncated', '7b ffffffffffffffff', 'a text of 2^64 - 1 bytes'],
  ['cbor_truncated', '9b ffffffffffffffff', 'an array of 2^64 - 1 items'],
  ['cbor_truncated', 'bb 8000000000000000 00', 'a map of 2^63 entries'],
  ['cbor_truncated', 'a1 6161', 'a map with a key and no value'],
  ['cbor_truncated', 'a3 6161 01 02', 'a map whose entries need more bytes than there are'],
  ['cbor_truncated', '82 01', 'an array one item short'],
  ['cbor_truncated', 'f9 00', 'a float that is cut off'],
  ['cbor_trailing', '00 00', 'two items'],
  ['cbor_trailing', '80 f6', 'an item after an empty array'],
  ['cbor_indefinite', '9f ff', 'an indefinite array'],
  ['cbor_indefinite', '7f 6161 ff', 'an indefinite text'],
  ['cbor_indefinite', '5f', 'an indefinite byte string'],
  ['cbor_indefinite', 'bf ff', 'an indefinite map'],
  ['cbor_indefinite', 'ff', 'a break'],
  ['cbor_malformed', '1c', 'additional information 28'],
  ['cbor_malformed', '3e', 'additional information 30'],
  ['cbor_malformed', '1f', '31 on an unsigned integer'],
  ['cbor_malformed', '3f', '31 on a negative integer'],
  ['cbor_malformed', 'df', '31 on a tag'],
  ['cbor_malformed', 'f8 18', 'a simple value below 32 in two bytes'],
  ['cbor_non_shortest', '18 17', '23 in two bytes'],
  ['cbor_non_shortest', '19 00ff', '255 in three bytes'],
  ['cbor_non_shortest', '1a 0000ffff', '65535 in five bytes'],
  ['cbor_non_shortest', '1b 00000000ffffffff', '2^32 - 1 in nine bytes'],
  ['cbor_non_shortest', '78 01 61', 'a length in two bytes'],
  ['cbor_non_shortest', '98 01 00', 'a count in two bytes'],
  ['cbor_non_shortest', '58 01 00', 'a byte string whose length is too long: the head comes before the type'],
  ['cbor_int_range', '1b 0020000000000000', '2^53'],
  ['cbor_int_range', '3b 001fffffffffffff', '-2^53'],
  ['cbor_int_range', '1b ffffffffffffffff', '2^64 - 1'],
  ['cbor_float', 'f9 0000', '0.0 in half precision'],
  ['cbor_float', 'fb 3ff8000000000000', '1.5'],
  ['cbor_float', 'f9 7e00', 'NaN'],
  ['cbor_simple', 'f7', 'undefined'],
  ['cbor_simple', 'e0', 'simple value 0'],
  ['cbor_simple', 'f8 ff', 'simple value 255'],
  ['cbor_bytes', '40', 'an empty byte string'],
  ['cbor_tag', 'c0 60', 'a date'],
  ['cbor_tag', 'c2 41 01', 'a bignum'],
  ['cbor_key_type', 'a1 01 02', 'a number as a key'],
  ['cbor_key_type', 'a1 80 02', 'an array as a key'],
  ['cbor_unsorted_keys', 'a2 6162 01 6161 02', 'b before a'],
  ['cbor_unsorted_keys', 'a2 626161 01 617a 02', 'aa before z'],
  ['cbor_duplicate_key', 'a2 6161 01 6161 02', 'a twice'],
  ['cbor_bad_utf8', '62 c080', 'an overlong form'],
  ['cbor_bad_utf8', '63 eda080', 'a surrogate'],
  ['cbor_bad_utf8', '64 f4908080', 'beyond U+10FFFF'],
  ['cbor_bad_utf8', 'a2 6161 01 61ff 02', 'a key that is not UTF-8'],
  ['cbor_nul', '61 00', 'U+0000'],
  ['cbor_nul', 'a1 61 00 01', 'U+0000 in a key'],
]

describe('CBOR that is not canonical', () => {
  test.each(refused)('%s: %s (%s)', (code, hex) => {
    expect(codeOf(bytes(hex))).toBe(code)
  })

  test('of two faults the first in the stream is named', () => {
    expect(codeOf(bytes('82 f7 40'))).toBe('cbor_simple')
    expect(codeOf(bytes('82 40 f7'))).toBe('cbor_bytes')
    expect(codeOf(bytes('a2 6162 f7 6161 02'))).toBe('cbor_simple')
    expect(codeOf(bytes('a2 6162 01 6161 f7'))).toBe('cbor_unsorted_keys')
  })

  test('32 containers within each other are taken, 33 and 200,000 are not', () => {
    const nested = (depth: number) => Buffer.concat([Buffer.alloc(depth, 0x81), Buffer.from([0xf6])])
    expect(codeOf(nested(32))).toBe('accepted')
    expect(codeOf(nested(33))).toBe('cbor_too_deep')
    expect(codeOf(nested(200_000))).toBe('cbor_too_deep')
  })

  test('more bytes than allowed are not looked at', () => {
    expect(codeOf(Buffer.alloc(11, 0xff), 10)).toBe('cbor_too_large')
  })

  test('more items than allowed are refused, however small they are', () => {
    const count = itemsMax + 1
    const head = Buffer.from([0x9a, count >>> 24, (count >>> 16) & 255, (count >>> 8) & 255, count & 255])
    expect(codeOf(Buffer.concat([head, Buffer.alloc(count)]), 2 * count)).toBe('cbor_too_large')
  })

  test('a byte order mark is kept as it is', () => {
    expect(decodeCanonical(bytes('63 efbbbf'))).toBe('\uFEFF')
  })
})

describe('published vectors', () => {
  interface Example {
    readonly hex: string
    readonly roundtrip: boolean
    readonly decoded?: unknown
  }
  const examples = JSON.parse(readFileSync(new URL('appendix_a.json', vectors), 'utf8')) as Example[]

  test('RFC 8949, appendix A: each example is taken as the value it is, or refused with its code', () => {
    const results = new Map<string, number>()
    for (const { hex, decoded } of examples) {
      const code = codeOf(bytes(hex))
      results.set(code, (results.get(code) ?? 0) + 1)
      if (code === 'accepted') expect(decodeCanonical(bytes(hex)), hex).toEqual(decoded)
    }
    expect(Object.fromEntries(results)).toEqual({
      accepted: 32,
      cbor_bytes: 2,
      cbor_float: 22,
      cbor_indefinite: 11,
      cbor_int_range: 2,
      cbor_key_type: 1,
      cbor_malformed: 1,
      cbor_simple: 3,
      cbor_tag: 8,
    })
  })

  test.each([
    ['appendixA__mt0'],
    ['appendixA__mt1'],
    ['appendixA__mt2'],
    ['appendixA__mt3'],
    ['appendixA__mt4'],
    ['appendixA__mt5'],
    ['appendixA__mt6'],
    ['appendixA__mt7-float'],
    ['appendixA__mt7-simple'],
    ['appendixA__streaming'],
    ['_good'],
    ['_bad'],
  ])('of the working group, %s: nothing is taken that encoding does not write', (name) => {
    const file = name.startsWith('_') ? `cbor-wg/rfc8949_${name}.edn` : `cbor-wg/rfc8949-${name}.edn`
    const text = readFileSync(new URL(file, vectors), 'utf8')
    const inputs = [...text.matchAll(/"encoded": h'([0-9a-f]*)'/g)].map(([, hex]) => bytes(hex as string))
    expect(inputs.length).toBeGreaterThan(1)
    for (const input of inputs) {
      const code = codeOf(input)
      if (name === '_bad') expect(code, input.toString('hex')).not.toBe('accepted')
      if (code !== 'accepted') continue
      expect(Buffer.from(encodeCanonical(decodeCanonical(input)))).toEqual(input)
      expect(decodeCanonical(input)).toEqual(decodeAny(input))
    }
  })
})
