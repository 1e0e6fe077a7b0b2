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

const golden = JSON.parse(readFileSync(new URL('../golden/cbor.json', vectors), 'utf8')) as {
  readonly accepted: readonly { readonly hex: string; readonly value: CanonicalValue }[]
  readonly refused: readonly { readonly code: string; readonly hex: string; readonly what: string }[]
}

test.each(golden.accepted)('$hex is taken, and is what its value encodes to', ({ hex, value }) => {
  expect(decodeCanonical(bytes(hex))).toEqual(value)
  expect(Buffer.from(encodeCanonical(value)).toString('hex')).toBe(hex)
})

describe('CBOR that is not canonical', () => {
  test.each(golden.refused)('$code: $hex ($what)', ({ code, hex }) => {
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
