import { expect, test } from 'vitest'
import { parseRange } from './range.ts'

test.each([
  ['bytes=0-9', { start: 0, end: 9 }],
  ['bytes=5-', { start: 5 }],
  ['bytes=-5', { start: 95 }],
  ['bytes=-500', { start: 0 }],
  ['bytes=90-200', { start: 90, end: 200 }],
  ['bytes=9-0', undefined],
  ['bytes=0-1,3-4', undefined],
  ['bytes=-', undefined],
  ['bytes=a-b', undefined],
  ['items=0-9', undefined],
  ['bytes=0-9999999999999999', undefined],
  [undefined, undefined],
])('of 100 bytes, %s asks for %o', (header, range) => {
  expect(parseRange(header, 100)).toEqual(range)
})

test('the last no bytes are not there', () => {
  expect(() => parseRange('bytes=-0', 100)).toThrow(expect.objectContaining({ code: 'range_not_satisfiable' }))
})
