import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editDistance, nearNames } from './near-names.ts'

const distances: readonly [left: string, right: string, distance: number][] = [
  ['reviewer', 'reviewer', 0],
  ['reviewer', 'reviwer', 1],
  ['reviewer', 'reviewers', 1],
  ['reviewer', 'rewiever', 2],
  ['ab', 'ba', 1],
  ['', 'ab', 2],
  ['kitten', 'sitting', 3],
]
for (const [left, right, distance] of distances) {
  test(`${left || 'nothing'} and ${right} are ${distance} apart`, () => {
    expect(editDistance(left, right, 5)).toBe(distance)
    expect(editDistance(right, left, 5)).toBe(distance)
  })
}

test('a distance beyond the bound is only known to be beyond it', () => {
  expect(editDistance('reviewer', 'builder', 2)).toBeGreaterThan(2)
})

test('one changed character is never more than 1 apart, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 30 }), fc.nat(30), (text, position) => {
      const at = Math.min(position, text.length)
      expect(editDistance(text, `${text.slice(0, at)}x${text.slice(at)}`, 3)).toBe(1)
      expect(editDistance(text, text.slice(0, at) + text.slice(at + 1), 3)).toBeLessThanOrEqual(1)
    }),
  )
})

describe('near names', () => {
  const known = ['reviewer', 'review-bot', 'builder', 'deploy', 'ci', 'cd', 'ops']
  const rows: readonly [wanted: string, near: readonly string[]][] = [
    ['reviwer', ['reviewer']],
    ['review', ['review-bot', 'reviewer']],
    ['reviewer', []],
    ['bulider', ['builder']],
    ['c1', ['cd', 'ci']],
    ['zzzz', []],
  ]
  for (const [wanted, near] of rows) {
    test(`of ${wanted} are ${near.join(', ') || 'none'}`, () => {
      expect(nearNames({ wanted, known, limit: 5 })).toEqual(near)
    })
  }

  test('are at most as many as asked for', () => {
    const names = Array.from({ length: 26 }, (_, index) => `node${String.fromCharCode(97 + index)}`)
    expect(nearNames({ wanted: 'node1', known: names, limit: 5 })).toHaveLength(5)
  })
})
