import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { readSha256, writeSha256 } from './digest-header.ts'

const sha256 = createHash('sha256').update('x').digest('hex')
const header = writeSha256(sha256)

test('what is announced is read as it is written', () => {
  expect(readSha256(header)).toBe(sha256)
  expect(readSha256(` sha-512=:AAAA: ,  ${header} `)).toBe(sha256)
  expect(readSha256('sha-512=:AAAA:')).toBe(null)
})

const rows = [
  '',
  sha256,
  `sha-256=${sha256}`,
  `sha-256=:${sha256}:`,
  'sha-256=::',
  header.slice(0, -1),
  header.replace('=:', ':'),
  `${header},`,
  `${header};q=1`,
  header.toUpperCase(),
  header.replace('=:', '=:-'),
]
test.each(rows)('%j is refused', (text) => expect(() => readSha256(text)).toThrow('Repr-Digest'))
