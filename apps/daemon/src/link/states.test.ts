import { describe, expect, test } from 'vitest'
import { silentLog } from '../../../../test/support/silent-log.ts'
import { LinkLife, type LinkState, linkMoves } from './states.ts'

const states = Object.keys(linkMoves) as LinkState[]

/** A way from the beginning to each state. */
const ways: { readonly [state in LinkState]: readonly LinkState[] } = {
  stopped: [],
  connecting: ['connecting'],
  awaiting_challenge: ['connecting', 'awaiting_challenge'],
  greeting: ['connecting', 'awaiting_challenge', 'greeting'],
  negotiating: ['connecting', 'awaiting_challenge', 'greeting', 'negotiating'],
  open: ['connecting', 'awaiting_challenge', 'greeting', 'negotiating', 'open'],
  closing: ['connecting', 'closing'],
  waiting: ['connecting', 'waiting'],
  conflicted: ['connecting', 'conflicted'],
  failed: ['connecting', 'failed'],
}

/** Every pair that is allowed, by what makes it happen. */
const allowed: readonly [from: readonly LinkState[], to: readonly LinkState[]][] = [
  [['stopped', 'waiting', 'conflicted'], ['connecting']],
  [['connecting'], ['awaiting_challenge']],
  [['awaiting_challenge'], ['greeting']],
  [['greeting'], ['negotiating']],
  [['negotiating'], ['open']],
  [['connecting', 'awaiting_challenge', 'greeting', 'negotiating', 'open'], ['closing']],
  [
    ['connecting', 'awaiting_challenge', 'greeting', 'negotiating', 'open', 'closing'],
    ['waiting', 'conflicted', 'failed', 'stopped'],
  ],
  [['waiting', 'conflicted', 'failed'], ['stopped']],
]

describe('the life of a link', () => {
  for (const from of states) {
    for (const to of states) {
      const isAllowed = allowed.some(([froms, tos]) => froms.includes(from) && tos.includes(to))
      test(`${from} -> ${to}: ${isAllowed ? 'allowed' : 'refused'}`, () => {
        const life = new LinkLife(silentLog())
        for (const step of ways[from]) life.enter(step)
        expect(life.state).toBe(from)
        if (isAllowed) {
          life.enter(to)
          expect(life.state).toBe(to)
        } else {
          expect(() => life.enter(to)).toThrow(`the link cannot go from ${from} to ${to}`)
          expect(life.state).toBe(from)
        }
      })
    }
  }
})
