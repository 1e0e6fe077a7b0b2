import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { sendRestMsMax, sendRestMsPerAccept } from '../limits.ts'
import { Rounds } from './rounds.ts'

let nowMs: number
let ran: number
let inRound: () => void
let rounds: Rounds

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  nowMs = 0
  ran = 0
  inRound = () => undefined
  rounds = new Rounds({
    run: () => {
      ran += 1
      inRound()
    },
    monotonicMs: () => nowMs,
  })
})

afterEach(() => {
  rounds.stop()
  vi.useRealTimers()
})

async function pass(ms: number): Promise<void> {
  nowMs += ms
  await vi.advanceTimersByTimeAsync(ms)
  await nextTurn()
}

const many = 1_000

describe('a round', () => {
  it('comes at once, once however often it is asked for, and again when a round itself asks', async () => {
    for (let times = 0; times < 3; times += 1) rounds.ask()
    await pass(0)
    expect(ran).toBe(1)
    inRound = () => {
      if (ran === 2) rounds.ask()
    }
    rounds.ask()
    await pass(0)
    await pass(0)
    expect(ran).toBe(3)
  })

  it('comes after some time, unless there was one before', async () => {
    rounds.askIn(50)
    await pass(49)
    expect(ran).toBe(0)
    await pass(1)
    expect(ran).toBe(1)
    rounds.askIn(50)
    rounds.ask()
    await pass(100)
    expect(ran).toBe(2)
  })

  it('that asks for another one after much was accepted has it as late as it took itself', async () => {
    inRound = () => {
      if (ran > 1) return
      rounds.ask()
      rounds.rest({ spentMs: 40, accepted: many })
    }
    rounds.ask()
    await pass(0)
    rounds.ask()
    await pass(39)
    expect(ran).toBe(1)
    await pass(1)
    expect(ran).toBe(2)
  })

  it.each([
    ['for the few that were accepted', { spentMs: 90, accepted: 2 }, 2 * sendRestMsPerAccept],
    ['and not longer than callers need at all', { spentMs: 60_000, accepted: many }, sendRestMsMax],
    ['where none was accepted not at all', { spentMs: 90, accepted: 0 }, 0],
  ])('rests %s', async (_what, spent, restMs) => {
    rounds.rest(spent)
    rounds.ask()
    if (restMs > 0) {
      await pass(restMs - 1)
      expect(ran).toBe(0)
    }
    await pass(1)
    expect(ran).toBe(1)
  })

  it('that was asked for does not come after the end', async () => {
    rounds.askIn(10)
    rounds.rest({ spentMs: 20, accepted: many })
    rounds.ask()
    rounds.stop()
    rounds.ask()
    rounds.stop()
    await pass(1_000)
    expect(ran).toBe(0)
  })
})
