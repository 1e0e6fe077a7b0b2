import type { ErrorCode } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { MeshError } from './protocol.ts'
import { type Attempt, type RetryPolicy, retryDelayMs } from './retry.ts'

const policy: RetryPolicy = { retryMsMax: 5_000, awaitDaemon: false }

function attempt(code: ErrorCode, o: { reached: boolean; repeatable: boolean; everReached?: boolean }): Attempt {
  return {
    failure: { error: new MeshError(code), reached: o.reached, retryAfterMs: null },
    everReached: o.everReached ?? o.reached,
    attempts: 1,
    elapsedMs: 0,
    repeatable: o.repeatable,
    random: 0.5,
  }
}

const decisions: readonly { name: string; attempt: Attempt; policy?: RetryPolicy; repeats: boolean }[] = [
  {
    name: 'a daemon that is not there is not waited for',
    attempt: attempt('daemon_unreachable', { reached: false, repeatable: true }),
    repeats: false,
  },
  {
    name: 'a daemon that is not there is waited for on demand, by every call',
    attempt: attempt('daemon_unreachable', { reached: false, repeatable: false }),
    policy: { ...policy, awaitDaemon: true },
    repeats: true,
  },
  {
    name: 'a broken connection is repeated by a call that may be made twice',
    attempt: attempt('daemon_unreachable', { reached: true, repeatable: true }),
    repeats: true,
  },
  {
    name: 'a broken connection is final for a call that may be made only once',
    attempt: attempt('daemon_unreachable', { reached: true, repeatable: false }),
    repeats: false,
  },
  {
    name: 'a daemon that was there a moment ago is waited for',
    attempt: attempt('daemon_unreachable', { reached: false, repeatable: true, everReached: true }),
    repeats: true,
  },
  {
    name: 'a busy daemon is asked again',
    attempt: attempt('daemon_busy', { reached: true, repeatable: true }),
    repeats: true,
  },
  {
    name: 'a daemon that is stopping is asked again',
    attempt: attempt('shutting_down', { reached: true, repeatable: true }),
    repeats: true,
  },
  {
    name: 'a full disk is an answer',
    attempt: attempt('insufficient_storage', { reached: true, repeatable: true }),
    repeats: false,
  },
  {
    name: 'a wrong request is an answer',
    attempt: attempt('invalid_request', { reached: true, repeatable: true }),
    repeats: false,
  },
  {
    name: 'nothing is repeated when no time is given',
    attempt: attempt('daemon_busy', { reached: true, repeatable: true }),
    policy: { ...policy, retryMsMax: 0 },
    repeats: false,
  },
]

describe('the retry decision', () => {
  for (const { name, attempt: made, policy: chosen, repeats } of decisions) {
    test(name, () => {
      expect(retryDelayMs(chosen ?? policy, made) !== null).toBe(repeats)
    })
  }

  test('waits at least as long as the answer asked, and longer with every attempt', () => {
    const base = attempt('daemon_busy', { reached: true, repeatable: true })
    const asked = { ...base, failure: { ...base.failure, retryAfterMs: 1_000 } }
    expect(retryDelayMs(policy, asked)).toBeGreaterThanOrEqual(1_000)
    const delays = [1, 2, 3, 4].map((attempts) => retryDelayMs(policy, { ...base, attempts }) ?? 0)
    expect(delays).toEqual([...delays].sort((one, other) => one - other))
  })

  test('ends when the next attempt would begin after the time is over', () => {
    const late = { ...attempt('daemon_busy', { reached: true, repeatable: true }), elapsedMs: 4_990 }
    expect(retryDelayMs(policy, late)).toBeNull()
  })
})
