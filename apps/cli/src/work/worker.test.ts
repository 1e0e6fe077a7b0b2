import { expect, test } from 'vitest'
import { failureOf, type JobEnd } from './job.ts'
import { retryDelayMs } from './worker.ts'

const delays: readonly (readonly [deliveries: number, delayMs: number])[] = [
  [1, 1_000],
  [2, 2_000],
  [3, 4_000],
  [9, 256_000],
  [10, 300_000],
  [1_000, 300_000],
]
for (const [deliveries, delayMs] of delays) {
  test(`what failed ${deliveries} times is held back for ${delayMs / 1_000} s`, () => {
    expect(retryDelayMs(deliveries)).toBe(delayMs)
  })
}

const ends: readonly (readonly [JobEnd, string | null])[] = [
  [{ kind: 'exited', code: 0 }, null],
  [{ kind: 'exited', code: 75 }, 'exit_75'],
  [{ kind: 'killed', signal: 'SIGTERM' }, 'killed_SIGTERM'],
  [{ kind: 'not_started', why: 'spawn x ENOENT' }, 'not_started'],
]
for (const [end, failure] of ends) {
  test(`a command that ${JSON.stringify(end)} gives the reason ${failure}`, () => {
    expect(failureOf(end)).toBe(failure)
  })
}
