import { describe, expect, test } from 'vitest'
import { advance, begin, intend, isConsistent, reset, stateOf, type Watermark } from './states.ts'

const idle: Watermark = { v: 1, acked: { seq: 5 }, intent: null, rows: 5, lost: 1, updated_at: 1 }
const intent = { unit: 'unit', since: 5, until: 9, chunks: [], started_at: 2 }
const intended: Watermark = { ...idle, intent }

describe('a watermark makes exactly the moves of its table', () => {
  const rows = [
    { move: 'begin', by: (found: Watermark | null) => begin(found, { at: 3 }), from: ['none'], to: 'idle' },
    {
      move: 'intend',
      by: (found: Watermark | null) => intend(found as Watermark, intent),
      from: ['idle'],
      to: 'intended',
    },
    {
      move: 'advance',
      by: (found: Watermark | null) => advance(found as Watermark, { rows: 4, lost: 0, at: 3 }),
      from: ['intended'],
      to: 'idle',
    },
    {
      move: 'reset',
      by: (found: Watermark | null) => reset(found, { to: 7, at: 3 }),
      from: ['none', 'idle', 'intended'],
      to: 'idle',
    },
  ]
  for (const { move, by, from, to } of rows) {
    for (const found of [null, idle, intended]) {
      const state = stateOf(found)
      if (from.includes(state)) test(`${move} leads from ${state} to ${to}`, () => expect(stateOf(by(found))).toBe(to))
      else test(`${move} does not begin at ${state}`, () => expect(() => by(found)).toThrow(`cannot ${move}`))
    }
  }
})

test('an advance goes to the end of the intent and counts what was exported and what was lost', () => {
  const after = advance(intended, { rows: 3, lost: 1, at: 4 })
  expect(after).toEqual({ v: 1, acked: { seq: 9 }, intent: null, rows: 8, lost: 2, updated_at: 4 })
})

test('an intent begins where the watermark is', () => {
  expect(() => intend(idle, { ...intent, since: 4 })).toThrow('begins where the watermark is')
})

describe('parts that do not agree are told', () => {
  const chunk = { offset: 0, rows: 1, at: 0, batch_id: '0'.repeat(64) }
  const rows = [
    { what: 'an intent that begins elsewhere', intent: { ...intent, since: 4 }, agrees: false },
    { what: 'a gap between chunks', intent: { ...intent, chunks: [{ ...chunk, since: 6, until: 9 }] }, agrees: false },
    {
      what: 'a chunk behind the end',
      intent: { ...intent, chunks: [{ ...chunk, since: 5, until: 10 }] },
      agrees: false,
    },
    { what: 'chunks in order', intent: { ...intent, chunks: [{ ...chunk, since: 5, until: 8 }] }, agrees: true },
    { what: 'no intent', intent: null, agrees: true },
  ]
  for (const { what, intent: found, agrees } of rows) {
    test(what, () => expect(isConsistent({ ...idle, intent: found })).toBe(agrees))
  }
})
