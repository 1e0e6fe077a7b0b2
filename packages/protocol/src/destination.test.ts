import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Address, type Destination, formatDestination, parseAddress } from './destination.ts'

const { address: vectors } = JSON.parse(readFileSync(new URL('../vectors/ids.json', import.meta.url), 'utf8')) as {
  readonly address: readonly { readonly to: string; readonly means: Address | null }[]
}

describe('a `to` text', () => {
  test.each(vectors)('$to means $means', ({ to, means }) => {
    expect(parseAddress(to)).toEqual(means)
  })

  test('of any kind is read without throwing', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (to) => void parseAddress(to)))
  })
})

describe('a destination', () => {
  const memberId = 'ab'.repeat(32)
  const rows: [destination: Destination, text: string][] = [
    [{ kind: 'dm', ref: memberId }, memberId],
    [{ kind: 'topic', ref: 'alerts' }, '#alerts'],
    [{ kind: 'queue', ref: 'builds' }, 'queue:builds'],
  ]
  test.each(rows)('%o is written %s', (destination, text) => {
    expect(formatDestination(destination)).toBe(text)
  })

  test('is read back from its text form', () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,63}$/)
    fc.assert(
      fc.property(fc.constantFrom<'topic' | 'queue'>('topic', 'queue'), name, (kind, ref) => {
        expect(parseAddress(formatDestination({ kind, ref }))).toEqual({ kind, name: ref })
      }),
    )
    const memberIds = fc.stringMatching(/^[0-9a-f]{64}$/)
    fc.assert(
      fc.property(memberIds, (ref) => {
        expect(parseAddress(formatDestination({ kind: 'dm', ref }))).toEqual({ kind: 'member_id', memberId: ref })
      }),
    )
  })
})
