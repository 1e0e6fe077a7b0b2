import type { OutboxStatus } from '@claudemesh/protocol'
import { describe, expect, it } from 'vitest'
import { applyMove, isOperable, movesBetween, type OutboxMove, outboxMoves, outboxStatuses } from './states.ts'

/** The transitions of 02 §5, pair by pair; every pair that is not here must be refused. */
const allowed: Readonly<Record<string, readonly OutboxMove[]>> = {
  'nothing -> pending': ['accept', 'requeue'],
  'pending -> inflight': ['claim'],
  'inflight -> done': ['accepted'],
  'inflight -> pending': ['retry', 'release', 'recover'],
  'inflight -> dead': ['refused'],
  'pending -> dead': ['unsealable', 'expire'],
  'pending -> aborted': ['abort'],
  'dead -> aborted': ['abort'],
}

const origins: readonly (OutboxStatus | null)[] = [null, ...outboxStatuses]
const pairs = origins.flatMap((from) => outboxStatuses.map((to) => ({ from, to })))

describe('the transitions of an outbox row', () => {
  it('are looked at for all 25 pairs and the 5 creations', () => {
    expect(pairs).toHaveLength(30)
  })

  for (const { from, to } of pairs) {
    const pair = `${from ?? 'nothing'} -> ${to}`
    const expected = allowed[pair] ?? []
    it(`${pair}: ${expected.length === 0 ? 'refused' : expected.join(', ')}`, () => {
      expect(movesBetween(from, to)).toEqual(expected)
      for (const name of Object.keys(outboxMoves) as OutboxMove[]) {
        if (outboxMoves[name].to !== to) continue
        if (expected.includes(name)) expect(applyMove(name, from)).toBe(to)
        else expect(() => applyMove(name, from)).toThrow(`cannot ${name} from ${from ?? 'nothing'}`)
      }
    })
  }

  it('let an operator end pending and dead rows, and no others', () => {
    expect(outboxStatuses.filter(isOperable)).toEqual(['pending', 'dead'])
  })
})
