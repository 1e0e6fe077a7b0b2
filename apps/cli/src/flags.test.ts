import { describe, expect, test } from 'vitest'
import { Flags } from './flags.ts'

const flags = new Flags(
  new Map<string, unknown>([
    ['limit', '20'],
    ['zero', '0'],
    ['word', 'twenty'],
    ['negative', '-1'],
    ['status', 'dead'],
    ['older-than', '2d'],
    ['since', '2026-11-21T08:00:00Z'],
    ['meta', ['a=1', 'b=', 'c=d=e']],
    ['bad-meta', ['=1']],
    ['unread', true],
    ['to', undefined],
  ]),
)

const readings: readonly { name: string; read: () => unknown; gives: unknown }[] = [
  { name: 'a whole number', read: () => flags.integer('limit', { min: 1, max: 500 }), gives: 20 },
  { name: 'an option that was not given', read: () => flags.text('to'), gives: null },
  { name: 'a number that was not given', read: () => flags.integer('to', { min: 1, max: 2 }), gives: null },
  { name: 'a choice', read: () => flags.choice('status', ['pending', 'dead']), gives: 'dead' },
  { name: 'a duration', read: () => flags.duration('older-than'), gives: 172_800_000 },
  { name: 'a time', read: () => flags.time('since', 0), gives: Date.UTC(2026, 10, 21, 8) },
  {
    name: 'pairs, cut at the first equals sign',
    read: () => flags.pairs('meta'),
    gives: [
      ['a', '1'],
      ['b', ''],
      ['c', 'd=e'],
    ],
  },
  { name: 'a switch', read: () => flags.isSet('unread'), gives: true },
  { name: 'a switch that was not given', read: () => flags.isSet('to'), gives: false },
]

const refusals: readonly { name: string; read: () => unknown; says: RegExp }[] = [
  {
    name: 'a number out of bounds',
    read: () => flags.integer('zero', { min: 1, max: 5 }),
    says: /from 1 to 5, not "0"/,
  },
  {
    name: 'a word for a number',
    read: () => flags.integer('word', { min: 1, max: 5 }),
    says: /--word takes a whole number/,
  },
  { name: 'a negative number', read: () => flags.integer('negative', { min: 0, max: 5 }), says: /--negative/ },
  {
    name: 'none of the choices',
    read: () => flags.choice('status', ['done']),
    says: /--status takes done, not "dead"/,
  },
  { name: 'a duration without a unit', read: () => flags.duration('limit'), says: /90s, 15m, 2h or 7d/ },
  { name: 'a time that is none', read: () => flags.time('word', 0), says: /how long ago/ },
  { name: 'a pair without a key', read: () => flags.pairs('bad-meta'), says: /key=value/ },
]

describe('flags', () => {
  for (const { name, read, gives } of readings) {
    test(`read ${name}`, () => {
      expect(read()).toEqual(gives)
    })
  }
  for (const { name, read, says } of refusals) {
    test(`refuse ${name}`, () => {
      expect(read).toThrow(expect.objectContaining({ code: 'invalid_usage', message: expect.stringMatching(says) }))
    })
  }
  test('refuse an option that the command did not declare', () => {
    expect(() => flags.text('undeclared')).toThrow(/--undeclared is declared/)
  })
})
