import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { inspect } from 'node:util'
import { generateBoxKeyPair, generateSigningKeyPair } from '@claudemesh/identity'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { PairwiseKeys } from './pairwise-keys.ts'

/** Public keys of every small order, and spellings of them: whatever the secret, X25519 with one gives zero. */
const lowOrderKeys = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000080',
]

describe('pairwise keys', () => {
  test('are the same at both ends, and another one per direction', () => {
    const [alice, bob] = [generateBoxKeyPair(), generateBoxKeyPair()]
    const atAlice = keysOf(alice).keyFor(bob.publicKey)
    const atBob = keysOf(bob).keyFor(alice.publicKey)
    expect(atAlice?.toPeer).toHaveLength(32)
    expect(atAlice?.toPeer).toEqual(atBob?.fromPeer)
    expect(atAlice?.fromPeer).toEqual(atBob?.toPeer)
    expect(atAlice?.toPeer).not.toEqual(atAlice?.fromPeer)
  })

  test('are others with every peer', () => {
    const keys = keysOf(generateBoxKeyPair())
    const derived = Array.from({ length: 20 }, () => keys.keyFor(generateBoxKeyPair().publicKey))
    expect(new Set(derived.map((key) => key?.toPeer.toString('hex'))).size).toBe(20)
  })

  for (const publicKey of [...lowOrderKeys, '', 'ab', 'AB'.repeat(32)]) {
    test(`do not exist with ${JSON.stringify(publicKey)}`, () => {
      const keys = keysOf(generateBoxKeyPair())
      expect(keys.keyFor(publicKey)).toBe(null)
      expect(keys.keyFor(publicKey), 'the second time').toBe(null)
    })
  }

  test('are not shown when printed or serialised', () => {
    const keys = keysOf(generateBoxKeyPair())
    const key = keys.keyFor(generateBoxKeyPair().publicKey)
    const shown = inspect(keys, { depth: 10, showHidden: true }) + JSON.stringify(keys)
    for (const secret of [key?.toPeer, key?.fromPeer]) {
      expect(shown).not.toContain(secret?.toString('hex'))
      expect(shown).not.toContain(JSON.stringify(secret))
      expect(shown).not.toContain(inspect(secret).slice(8, 28))
    }
  })

  test('are made of a box key only, and at least one is kept', () => {
    const box = generateBoxKeyPair()
    expect(() => new PairwiseKeys({ box: generateSigningKeyPair(), max: 1 })).toThrow('not the signing key')
    for (const max of [0, -1, 1.5, Number.NaN]) {
      expect(() => new PairwiseKeys({ box, max })).toThrow('at least one pairwise key is kept')
    }
  })
})

describe('the keys that are kept', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  })

  test('are those used last', () => {
    const agreements = countAgreements()
    const keys = new PairwiseKeys({ box: generateBoxKeyPair(), max: 2 })
    const [first, second, third] = Array.from({ length: 3 }, () => generateBoxKeyPair().publicKey)
    const rows = [
      { name: 'the first, new', peer: first, agreements: 1 },
      { name: 'the second, new', peer: second, agreements: 2 },
      { name: 'the first, kept', peer: first, agreements: 2 },
      { name: 'the third, new, for which the second gives way', peer: third, agreements: 3 },
      { name: 'the first, kept', peer: first, agreements: 3 },
      { name: 'the second, once more', peer: second, agreements: 4 },
      { name: 'the third, which gave way', peer: third, agreements: 5 },
    ]
    for (const row of rows) {
      keys.keyFor(row.peer ?? '')
      expect(agreements(), row.name).toBe(row.agreements)
    }
  })

  test('are the same when they have to be computed again', () => {
    const keys = new PairwiseKeys({ box: generateBoxKeyPair(), max: 1 })
    const peer = generateBoxKeyPair().publicKey
    const before = keys.keyFor(peer)
    keys.keyFor(generateBoxKeyPair().publicKey)
    expect(keys.keyFor(peer)).toEqual(before)
  })

  test('a key that is refused is computed once as well', () => {
    const agreements = countAgreements()
    const keys = keysOf(generateBoxKeyPair())
    for (let round = 0; round < 3; round += 1) expect(keys.keyFor(lowOrderKeys[1] ?? '')).toBe(null)
    expect(agreements()).toBe(1)
  })
})

function keysOf(box: ReturnType<typeof generateBoxKeyPair>): PairwiseKeys {
  return new PairwiseKeys({ box, max: 64 })
}

/** Counts what node:crypto is asked for. It answers as ever. */
function countAgreements(): () => number {
  const spy = vi.spyOn(crypto, 'diffieHellman')
  syncBuiltinESMExports()
  return () => spy.mock.calls.length
}
