import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  exportSeed,
  generateMemberKeys,
  importBoxKeyPair,
  importSigningKeyPair,
  seedBytes,
  sign,
  verifySignature,
} from './keys.ts'

interface WycheproofFile {
  readonly numberOfTests: number
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string }
    readonly tests: readonly {
      readonly tcId: number
      readonly comment: string
      readonly msg: string
      readonly sig: string
      readonly result: 'valid' | 'invalid'
    }[]
  }[]
}

const wycheproof = JSON.parse(
  readFileSync(new URL('../vectors/wycheproof/ed25519_test.json', import.meta.url), 'utf8'),
) as WycheproofFile

describe('Ed25519 verification agrees with Wycheproof', () => {
  const rows = wycheproof.testGroups.flatMap((group) => group.tests.map((row) => ({ ...row, key: group.publicKey.pk })))
  test('on every vector of the file', () => {
    expect(rows.length).toBe(wycheproof.numberOfTests)
  })
  for (const row of rows) {
    test(`vector ${row.tcId} is ${row.result}: ${row.comment}`, () => {
      const bytes = Buffer.from(row.msg, 'hex')
      const signature = Buffer.from(row.sig, 'hex')
      expect(verifySignature({ publicKey: row.key, bytes, signature })).toBe(row.result === 'valid')
    })
  }
})

describe('key pairs', () => {
  const vectors = [
    {
      name: 'Ed25519 of RFC 8032 §7.1, test 1',
      importSeed: importSigningKeyPair,
      seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    },
    {
      name: 'X25519 of RFC 7748 §6.1, Bob',
      importSeed: importBoxKeyPair,
      seed: '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
      publicKey: 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    },
  ]
  for (const vector of vectors) {
    test(`are imported from a seed and exported as the same: ${vector.name}`, () => {
      const pair = vector.importSeed(Buffer.from(vector.seed, 'hex'))
      expect(pair.publicKey).toBe(vector.publicKey)
      expect(exportSeed(pair).toString('hex')).toBe(vector.seed)
    })
  }

  test('show no secret when printed or serialised', () => {
    const keys = generateMemberKeys()
    const shown = inspect(keys, { depth: 10, showHidden: true }) + JSON.stringify(keys)
    for (const pair of [keys.signing, keys.box]) {
      expect(shown).not.toContain(exportSeed(pair).toString('hex'))
      expect(shown).not.toContain(exportSeed(pair).toString('base64url'))
    }
  })

  test('sign so that their public key verifies, and nothing else does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array(), fc.nat(511), (seed, bytes, bit) => {
        const pair = importSigningKeyPair(seed)
        const signature = sign(pair, bytes)
        const { publicKey } = pair
        expect(verifySignature({ publicKey, bytes, signature })).toBe(true)
        const damaged = Buffer.from(signature)
        damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        expect(verifySignature({ publicKey, bytes, signature: damaged })).toBe(false)
        expect(verifySignature({ publicKey, bytes: Buffer.concat([bytes, Buffer.of(0)]), signature })).toBe(false)
      }),
    )
  })

  test('are refused when a seed has another length', () => {
    for (const length of [0, seedBytes - 1, seedBytes + 1]) {
      expect(() => importSigningKeyPair(Buffer.alloc(length))).toThrow('a seed has 32 bytes')
    }
  })
})

describe('verifying never throws', () => {
  const bytes = Buffer.from('bytes')
  const signature = Buffer.alloc(64)
  const rows = [
    { name: 'a key of no length', publicKey: '', signature },
    { name: 'a key in capitals', publicKey: 'AB'.repeat(32), signature },
    { name: 'a key that is no point', publicKey: 'ff'.repeat(32), signature },
    { name: 'a key of zeros', publicKey: '02'.padEnd(64, '0'), signature },
    { name: 'a signature that is too short', publicKey: '01'.repeat(32), signature: signature.subarray(1) },
    { name: 'a signature that is too long', publicKey: '01'.repeat(32), signature: Buffer.alloc(65) },
    { name: 'no signature', publicKey: '01'.repeat(32), signature: Buffer.alloc(0) },
  ]
  for (const row of rows) {
    test(`${row.name} is false`, () => {
      expect(verifySignature({ publicKey: row.publicKey, bytes, signature: row.signature })).toBe(false)
    })
  }

  test('on any key and any signature', () => {
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(bytes32, fc.uint8Array({ minLength: 64, maxLength: 64 }), (key, signature) => {
        const publicKey = Buffer.from(key).toString('hex')
        expect(verifySignature({ publicKey, bytes, signature })).toBe(false)
      }),
    )
  })

  test('the keys that are kept do not change the answer when there are more than are kept', () => {
    const pair = importSigningKeyPair(Buffer.alloc(32, 7))
    const good = sign(pair, bytes)
    for (let index = 0; index < 4200; index += 1) {
      const publicKey = index.toString(16).padStart(64, '0')
      verifySignature({ publicKey, bytes, signature })
    }
    expect(verifySignature({ publicKey: pair.publicKey, bytes, signature: good })).toBe(true)
  })
})
