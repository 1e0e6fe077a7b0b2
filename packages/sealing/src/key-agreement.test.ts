import { hkdfSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { generateBoxKeyPair, importBoxKeyPair } from '@claudemesh/identity'
import { describe, expect, test } from 'vitest'
import { agree, deriveKey } from './key-agreement.ts'

describe('X25519 agrees with Wycheproof', () => {
  const rows = readTests<{ tcId: number; comment: string; public: string; private: string; shared: string }>(
    'x25519_test.json',
  )
  const zero = '00'.repeat(32)

  for (const row of rows) {
    const outcome = row.shared === zero ? 'shares nothing secret and is refused' : 'gives the shared secret'
    test(`vector ${row.tcId} ${outcome}: ${row.comment}`, () => {
      const secret = agree(importBoxKeyPair(Buffer.from(row.private, 'hex')), row.public)
      expect(secret?.toString('hex') ?? null).toBe(row.shared === zero ? null : row.shared)
    })
  }
})

describe('HKDF-SHA-256 agrees with Wycheproof', () => {
  const rows = readTests<{
    tcId: number
    comment: string
    ikm: string
    salt: string
    info: string
    size: number
    okm: string
    result: string
  }>('hkdf_sha256_test.json')
  const derivedBytes = 32

  for (const row of rows) {
    const [ikm, salt, info] = [row.ikm, row.salt, row.info].map((hex) => Buffer.from(hex, 'hex'))
    const derive = () => Buffer.from(hkdfSync('sha256', ikm ?? '', salt ?? '', info ?? '', row.size)).toString('hex')
    test(`vector ${row.tcId} is ${row.result}: ${row.comment}`, () => {
      if (row.result === 'valid') expect(derive()).toBe(row.okm)
      else expect(derive).toThrow()
    })
  }

  for (const row of rows.filter(({ salt, result }) => salt === '' && result === 'valid')) {
    test(`deriveKey gives the beginning of vector ${row.tcId}, which has no salt: ${row.comment}`, () => {
      const key = deriveKey(Buffer.from(row.ikm, 'hex'), Buffer.from(row.info, 'hex'))
      const common = Math.min(derivedBytes, row.size)
      expect(key).toHaveLength(derivedBytes)
      expect(key.subarray(0, common).toString('hex')).toBe(row.okm.slice(0, 2 * common))
    })
  }
})

describe('a public key that is none is refused', () => {
  const rows = [
    '',
    'ab',
    `${'ab'.repeat(31)}a`,
    'AB'.repeat(32),
    'ab'.repeat(33),
    ` ${'ab'.repeat(32)}`,
    'zz'.repeat(32),
  ]
  for (const publicKey of rows) {
    test(JSON.stringify(publicKey), () => {
      expect(agree(generateBoxKeyPair(), publicKey)).toBe(null)
    })
  }
})

function readTests<T>(name: string): readonly T[] {
  const file = JSON.parse(readFileSync(new URL(`../vectors/wycheproof/${name}`, import.meta.url), 'utf8')) as {
    readonly numberOfTests: number
    readonly testGroups: readonly { readonly tests: readonly T[] }[]
  }
  const tests = file.testGroups.flatMap((group) => group.tests)
  expect(tests).toHaveLength(file.numberOfTests)
  return tests
}
