import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

/** Whether a promise has settled once everything that can go on has gone on. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const mark = () => {
    settled = true
  }
  promise.then(mark, mark)
  await new Promise((resolve) => setImmediate(resolve))
  return settled
}

test('calls run one at a time, in order, and one that fails does not hold up the next', async () => {
  const turns = new Turns(() => false)
  const log: string[] = []
  const call = (name: string, fails = false) =>
    turns.take(async () => {
      log.push(`${name} begins`)
      await new Promise((resolve) => setImmediate(resolve))
      log.push(`${name} ends`)
      if (fails) throw new Error(name)
      return name
    })
  const results = await Promise.allSettled([call('a'), call('b', true), call('c')])
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
})

test('a call waits while the peer has not taken what was written, and goes on when it has', async () => {
  let blocked = true
  const turns = new Turns(() => blocked)
  const call = turns.take(async () => 'answered')
  expect(await isSettled(call)).toBe(false)
  turns.look()
  expect(await isSettled(call)).toBe(false)
  blocked = false
  turns.look()
  expect(await call).toBe('answered')
})
