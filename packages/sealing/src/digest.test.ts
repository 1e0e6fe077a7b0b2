import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hmac, sha256 } from './digest.ts'

const bytes = fc.uint8Array({ maxLength: 300 })

test('a digest is the one of node:crypto', () => {
  fc.assert(
    fc.property(bytes, (input) => {
      expect(sha256(input)).toEqual(createHash('sha256').update(input).digest())
    }),
  )
})

test('an HMAC is the one of node:crypto, whatever came before it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes, (key, input) => {
      expect(hmac(key, input)).toEqual(createHmac('sha256', key).update(input).digest())
    }),
  )
})

test('a key longer than a block is refused, not cut', () => {
  expect(() => hmac(new Uint8Array(65), new Uint8Array(1))).toThrow(/longer key/)
})
