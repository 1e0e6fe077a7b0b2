import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ArtifactError } from '../artifact-error.ts'
import { getAlgorithm, listAlgorithms, registerAlgorithm } from './algorithms.ts'
import {
  type AddressFault,
  type ContentAddress,
  digestEquals,
  formatContentAddress,
  makeDigest,
  parseContentAddress,
  toDigest,
} from './content-address.ts'

const hex = '0123456789abcdef'.repeat(4)

const golden = JSON.parse(readFileSync(new URL('../../vectors/golden/addresses.json', import.meta.url), 'utf8')) as {
  readonly accepted: readonly string[]
  readonly refused: readonly { readonly text: unknown; readonly reason: AddressFault }[]
}
const refused: readonly (readonly [unknown, AddressFault])[] = [
  [undefined, 'not_a_string'],
  [new String(`blake3:${hex}`), 'not_a_string'],
  ...golden.refused.map(({ text, reason }) => [text, reason] as const),
]

describe('an address', () => {
  test.each(golden.accepted)('%s is one', (text) => {
    expect(parseContentAddress(text)).toBe(text)
  })

  test.each(refused)('%j is refused: %s', (text, reason) => {
    expect(() => parseContentAddress(text)).toThrow(
      expect.objectContaining({ code: 'invalid_content_address', reason, status: 400 }),
    )
  })

  test('is read and written without loss', () => {
    const hexes = fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 64, maxLength: 64 })
    fc.assert(
      fc.property(fc.constantFrom('blake3', 'sha256'), hexes, (algorithm, digits) => {
        const text = digits.map((digit) => digit.toString(16)).join('')
        const digest = makeDigest(algorithm, text)
        const address = formatContentAddress(digest)
        expect(address).toBe(`${algorithm}:${text}`)
        expect(parseContentAddress(address)).toBe(address)
        expect(formatContentAddress(toDigest(address))).toBe(address)
        expect(digestEquals(toDigest(address), digest)).toBe(true)
      }),
    )
  })

  test('whatever text comes, it is an address or refused with a reason', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `blake3:${text}`),
        ),
        (text) => {
          try {
            expect(parseContentAddress(text)).toBe(text)
          } catch (error) {
            expect(error).toBeInstanceOf(ArtifactError)
          }
        },
      ),
    )
  })

  test('is its own key in a Map and a Set', () => {
    const seen = new Set<ContentAddress>([parseContentAddress(`sha256:${hex}`)])
    expect(seen.has(formatContentAddress(makeDigest('sha256', hex)))).toBe(true)
    expect(seen.has(formatContentAddress(makeDigest('blake3', hex)))).toBe(false)
  })

  test('a digest cannot be changed', () => {
    const digest = makeDigest('blake3', hex)
    expect(Object.isFrozen(digest)).toBe(true)
    expect(() => makeDigest('blake3', 'AB')).toThrow(ArtifactError)
  })
})

describe('the registry of algorithms', () => {
  test('has blake3 and sha256 from the start', () => {
    expect(listAlgorithms()).toEqual(expect.arrayContaining(['blake3', 'sha256']))
    expect(getAlgorithm('blake3').hexLength).toBe(64)
    expect(() => getAlgorithm('md5')).toThrow(expect.objectContaining({ code: 'algorithm_unknown', status: 422 }))
  })

  test.each([
    ['a name that is taken', 'blake3', 64],
    ['upper case', 'Blake4', 64],
    ['no name', '', 64],
    ['an odd length', 'odd', 63],
    ['no length', 'none', 0],
    ['a fraction', 'half', 2.5],
  ])('refuses %s', (_, name, hexLength) => {
    const create = getAlgorithm('sha256').create
    expect(() => registerAlgorithm({ name, hexLength, create })).toThrow(
      expect.objectContaining({ code: 'algorithm_invalid' }),
    )
  })

  test('takes a new one, whose addresses are then read', () => {
    const create = getAlgorithm('sha256').create
    registerAlgorithm({ name: 'sha256-again', hexLength: 64, create })
    expect(parseContentAddress(`sha256-again:${hex}`)).toBe(`sha256-again:${hex}`)
  })
})
