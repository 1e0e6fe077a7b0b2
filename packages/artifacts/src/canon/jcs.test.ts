import { readFileSync } from 'node:fs'
import type { JsonValue } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeCanonical } from './cbor.ts'
import { canonicalizeJson, jcs, jcsToCbor } from './jcs.ts'

// The published vectors of RFC 8785 are the protocol's, whose digests depend on them too.
const vectors = new URL('../../../protocol/vectors/jcs/', import.meta.url)

describe('published vectors', () => {
  test.each([['arrays'], ['french'], ['structures'], ['unicode'], ['values'], ['weird']])('%s', (name) => {
    const input = JSON.parse(readFileSync(new URL(`input/${name}.json`, vectors), 'utf8')) as JsonValue
    const output = readFileSync(new URL(`output/${name}.json`, vectors), 'utf8')
    expect(Buffer.from(canonicalizeJson(input)).toString('utf8')).toBe(output)
  })
})

const refused: readonly (readonly [code: string, text: string, what: string])[] = [
  ['jcs_not_canonical', '{"b":1,"a":2}', 'keys in another order'],
  ['jcs_not_canonical', '{"a":1,"a":1}', 'a key twice'],
  ['jcs_not_canonical', '{ "a":1}', 'a space'],
  ['jcs_not_canonical', '1\n', 'a line break at the end'],
  ['jcs_not_canonical', '1.0', '1.0'],
  ['jcs_not_canonical', '1e2', '1e2'],
  ['jcs_not_canonical', '-0', '-0'],
  ['jcs_not_canonical', '"\\u0061"', 'a needless escape'],
  ['jcs_not_canonical', '"\\/"', 'an escaped slash'],
  ['not_canonical', '1.5', 'a fraction'],
  ['not_canonical', '9007199254740992', '2^53'],
  ['not_canonical', '"\\ud800"', 'a lone surrogate'],
  ['not_canonical', '"\\u0000"', 'U+0000'],
  ['not_canonical', '1e400', 'a number beyond all doubles'],
  ['jcs_syntax', '', 'nothing'],
  ['jcs_syntax', '{"a":1', 'an open bracket'],
  ['jcs_syntax', '1 2', 'two values'],
  ['jcs_syntax', '"a', 'an open text'],
  ['jcs_bom', '\uFEFF1', 'a byte order mark'],
  ['jcs_too_deep', '['.repeat(33) + ']'.repeat(33), '33 arrays'],
  ['jcs_too_deep', '['.repeat(200_000), '200,000 arrays'],
]

describe('canonical JSON to canonical CBOR', () => {
  test.each(refused)('%s: %s (%s)', (code, text) => {
    expect(() => jcsToCbor(Buffer.from(text))).toThrow(expect.objectContaining({ code }))
  })

  test('bytes that are not UTF-8, and more bytes than allowed', () => {
    expect(() => jcsToCbor(Buffer.from([0x22, 0xff, 0x22]))).toThrow(expect.objectContaining({ code: 'jcs_bad_utf8' }))
    expect(() => jcsToCbor(Buffer.from('"abc"'), { maxBytes: 4 })).toThrow(
      expect.objectContaining({ code: 'jcs_too_large' }),
    )
  })

  test('brackets within texts do not count as depth', () => {
    const text = JSON.stringify({ a: `"${'['.repeat(100)}\\`, b: [['{']] })
    expect(Buffer.from(jcsToCbor(Buffer.from(text)))).toEqual(Buffer.from(encodeCanonical(JSON.parse(text))))
  })

  test('goes to the same CBOR as the value itself', () => {
    const value = fc.jsonValue().filter((json) => !/\\u0000|\\ud[89a-f]|\d\.\d|e[+-]|-0\b/i.test(JSON.stringify(json)))
    let compared = 0
    fc.assert(
      fc.property(value, (json) => {
        let expected: Uint8Array
        try {
          expected = encodeCanonical(json)
        } catch {
          return // What is no canonical value is the subject of the table above.
        }
        compared += 1
        expect(Buffer.from(jcsToCbor(jcs(json)))).toEqual(Buffer.from(expected))
      }),
      { numRuns: 500 },
    )
    expect(compared).toBeGreaterThan(100)
  })
})
