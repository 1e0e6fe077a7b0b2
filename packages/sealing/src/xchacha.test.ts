import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decrypt, decryptShort, encrypt, encryptShort, keyBytes, nonceBytes, tagBytes } from './xchacha.ts'

interface WycheproofFile {
  readonly numberOfTests: number
  readonly testGroups: readonly {
    readonly ivSize: number
    readonly tests: readonly {
      readonly tcId: number
      readonly comment: string
      readonly key: string
      readonly iv: string
      readonly aad: string
      readonly msg: string
      readonly ct: string
      readonly tag: string
      readonly result: 'valid' | 'invalid'
    }[]
  }[]
}

const wycheproof = JSON.parse(
  readFileSync(new URL('../vectors/wycheproof/chacha20_poly1305_test.json', import.meta.url), 'utf8'),
) as WycheproofFile

describe('ChaCha20-Poly1305 agrees with Wycheproof', () => {
  const rows = wycheproof.testGroups.flatMap(({ ivSize, tests }) => tests.map((row) => ({ ...row, ivSize })))
  test('on every vector of the file', () => {
    expect(rows).toHaveLength(wycheproof.numberOfTests)
  })

  for (const row of rows) {
    const input = {
      key: Buffer.from(row.key, 'hex'),
      nonce: Buffer.from(row.iv, 'hex'),
      associatedData: Buffer.from(row.aad, 'hex'),
    }
    const plaintext = Buffer.from(row.msg, 'hex')
    const ciphertext = Buffer.from(row.ct + row.tag, 'hex')
    test(`vector ${row.tcId} is ${row.result}: ${row.comment}`, () => {
      if (row.ivSize !== 96) {
        expect(() => encryptShort({ ...input, plaintext })).toThrow('has 12 bytes')
        expect(() => decryptShort({ ...input, ciphertext })).toThrow('has 12 bytes')
      } else if (row.result === 'valid') {
        expect(encryptShort({ ...input, plaintext })).toEqual(ciphertext)
        expect(decryptShort({ ...input, ciphertext })).toEqual(plaintext)
      } else {
        expect(decryptShort({ ...input, ciphertext })).toBe(null)
      }
    })
  }
})

describe('XChaCha20-Poly1305', () => {
  const of = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  const inputs = fc.record({ key: of(keyBytes), nonce: of(nonceBytes), associatedData: fc.uint8Array() })

  test('is the same as that of @noble/ciphers, for bytes at any address', () => {
    fc.assert(
      fc.property(inputs, fc.uint8Array({ maxLength: 300 }), fc.nat(7), (input, plaintext, offset) => {
        const shifted = {
          key: shift(input.key, offset),
          nonce: shift(input.nonce, offset),
          associatedData: shift(input.associatedData, offset),
        }
        const expected = Buffer.from(xchacha20poly1305(input.key, input.nonce, input.associatedData).encrypt(plaintext))
        const ciphertext = encrypt({ ...shifted, plaintext: shift(plaintext, offset) })
        expect(ciphertext).toEqual(expected)
        expect(decrypt({ ...shifted, ciphertext: shift(ciphertext, offset) })).toEqual(Buffer.from(plaintext))
      }),
    )
  })

  test('decrypts nothing when one bit of key, nonce, associated data or ciphertext is another', () => {
    fc.assert(
      fc.property(inputs, fc.uint8Array(), fc.nat(), (input, plaintext, position) => {
        const whole = { ...input, ciphertext: encrypt({ ...input, plaintext }) }
        for (const name of ['key', 'nonce', 'associatedData', 'ciphertext'] as const) {
          if (whole[name].length === 0) continue
          expect(decrypt({ ...whole, [name]: flip(whole[name], position) }), name).toBe(null)
        }
      }),
    )
  })

  test('decrypts nothing from fewer bytes than there were', () => {
    const input = { key: randomBytes(keyBytes), nonce: randomBytes(nonceBytes), associatedData: Buffer.alloc(0) }
    const ciphertext = encrypt({ ...input, plaintext: Buffer.from('plaintext') })
    for (let length = 0; length < ciphertext.length; length += 1) {
      expect(decrypt({ ...input, ciphertext: ciphertext.subarray(0, length) })).toBe(null)
    }
    expect(ciphertext).toHaveLength('plaintext'.length + tagBytes)
  })

  const lengths = [
    { name: 'a key that is too short', key: 31, nonce: 24 },
    { name: 'a key that is too long', key: 33, nonce: 24 },
    { name: 'a nonce that is too short', key: 32, nonce: 12 },
    { name: 'a nonce that is too long', key: 32, nonce: 25 },
  ]
  for (const row of lengths) {
    test(`takes no ${row.name.replace(/^an? /, '')}`, () => {
      const input = { key: Buffer.alloc(row.key), nonce: Buffer.alloc(row.nonce), associatedData: Buffer.alloc(0) }
      expect(() => encrypt({ ...input, plaintext: Buffer.alloc(1) })).toThrow(/has (32|24) bytes/)
      expect(() => decrypt({ ...input, ciphertext: Buffer.alloc(17) })).toThrow(/has (32|24) bytes/)
    })
  }
})

/** The same bytes at an address that is `offset` further. */
function shift(bytes: Uint8Array, offset: number): Uint8Array {
  const room = new Uint8Array(bytes.length + offset)
  room.set(bytes, offset)
  return room.subarray(offset)
}

function flip(bytes: Uint8Array, position: number): Buffer {
  const copy = Buffer.from(bytes)
  const index = (position >> 3) % copy.length
  copy.writeUInt8(copy.readUInt8(index) ^ (1 << (position & 7)), index)
  return copy
}
