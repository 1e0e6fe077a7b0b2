import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeBase64url } from './base64url.ts'

test('reads what was written', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = Buffer.from(bytes).toString('base64url')
      expect(decodeBase64url(text, bytes.length)).toEqual(Buffer.from(bytes))
    }),
  )
})

const rows = [
  { name: 'padding', text: 'AA==' },
  { name: 'spare bits', text: 'AB' },
  { name: 'the plain alphabet', text: '+w' },
  { name: 'white space', text: 'AA\n' },
  { name: 'a foreign character', text: 'A!A' },
  { name: 'another length', text: 'AAA' },
  { name: 'nothing', text: '' },
]
for (const row of rows) {
  test(`refuses ${row.name} where one byte is expected`, () => {
    expect(decodeBase64url(row.text, 1)).toBeNull()
  })
}
