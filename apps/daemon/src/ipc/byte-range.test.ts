import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readRange } from './byte-range.ts'

describe('of 1000 bytes a Range header asks for', () => {
  const rows: [header: string, asked: ReturnType<typeof readRange>][] = [
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=0-', { start: 0, end: 999 }],
    ['bytes=0-999', { start: 0, end: 999 }],
    ['bytes=0-1000', { start: 0, end: 999 }],
    ['bytes=999-', { start: 999, end: 999 }],
    ['bytes=10-99999999999999999999999', { start: 10, end: 999 }],
    ['bytes=000010-00020', { start: 10, end: 20 }],
    ['Bytes= 5-6 ', { start: 5, end: 6 }],
    ['bytes=-1', { start: 999, end: 999 }],
    ['bytes=-1000', { start: 0, end: 999 }],
    ['bytes=-99999999999999999999', { start: 0, end: 999 }],
    ['bytes=1000-', 'unsatisfiable'],
    ['bytes=1000-2000', 'unsatisfiable'],
    ['bytes=99999999999999999999-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    // What cannot be read, or is not offered: all of it.
    ['bytes=0-1,5-6', null],
    ['bytes=5-4', null],
    ['bytes=', null],
    ['bytes=-', null],
    ['bytes', null],
    ['bytes=a-b', null],
    ['bytes=0x1-2', null],
    ['bytes=1.5-2', null],
    ['bytes=+1-2', null],
    ['bytes=--1', null],
    ['bytes=1-2-3', null],
    ['items=0-1', null],
    ['', null],
  ]
  test.each(rows)('%j', (header, asked) => expect(readRange(header, 1000)).toEqual(asked))
})

test('nothing of nothing is there', () => {
  for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) expect(readRange(header, 0)).toBe('unsatisfiable')
})

test('whatever is asked for is within the bytes', () => {
  const number = fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 1n << 80n }), fc.constant(''))
  fc.assert(
    fc.property(number, number, fc.nat({ max: 5000 }), (first, last, size) => {
      const range = readRange(`bytes=${first}-${last}`, size)
      if (range === null || range === 'unsatisfiable') return
      expect(range.start).toBeGreaterThanOrEqual(0)
      expect(range.end).toBeGreaterThanOrEqual(range.start)
      expect(range.end).toBeLessThan(size)
    }),
  )
})
