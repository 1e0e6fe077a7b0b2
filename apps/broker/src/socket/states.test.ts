import { expect, test } from 'vitest'
import { assertMove, type ConnectionState, framesTaken, moves } from './states.ts'

const states = ['challenged', 'authenticating', 'welcomed', 'open', 'closing'] as const satisfies ConnectionState[]
const allowed = [
  'challenged>authenticating',
  'challenged>closing',
  'authenticating>welcomed',
  'authenticating>closing',
  'welcomed>open',
  'welcomed>closing',
  'open>closing',
]

test('of all pairs of states only the moves of the drawing are allowed', () => {
  for (const from of states) {
    for (const to of states) {
      const move = () => assertMove(from, to)
      if (allowed.includes(`${from}>${to}`)) expect(move).not.toThrow()
      else expect(move, `${from} to ${to}`).toThrow()
    }
  }
  expect(Object.values(moves).flat()).toHaveLength(allowed.length)
})

test('nothing but the greeting is taken from a peer before its connection is open', () => {
  for (const state of ['challenged', 'authenticating', 'welcomed', 'closing'] as const) {
    expect(framesTaken[state]).not.toContain('send')
    expect(framesTaken[state]).not.toContain('deliver_ack')
    expect(framesTaken[state]).not.toContain('request')
  }
})
