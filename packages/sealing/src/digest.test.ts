import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sha256 } from './digest.ts'

test('a digest is the one of node:crypto', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
      expect(sha256(input)).toEqual(createHash('sha256').update(input).digest())
    }),
  )
})
