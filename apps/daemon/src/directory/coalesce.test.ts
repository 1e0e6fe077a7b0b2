import { expect, test } from 'vitest'
import { coalesce } from './coalesce.ts'

/** An operation whose runs the test ends one by one. */
function operation() {
  const runs: { end: () => void; fail: (error: Error) => void }[] = []
  const run = () =>
    new Promise<void>((resolve, reject) => {
      runs.push({ end: resolve, fail: reject })
    })
  return { runs, call: coalesce(run) }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a call while nothing runs begins at once', () => {
  const { runs, call } = operation()
  void call()
  expect(runs).toHaveLength(1)
})

test('calls during a run share one further run, which begins after it', async () => {
  const { runs, call } = operation()
  const first = call()
  const [second, third] = [call(), call()]
  expect(second).toBe(third)
  expect(runs).toHaveLength(1)
  runs[0]?.end()
  await first
  await turn()
  expect(runs).toHaveLength(2)
  const fourth = call()
  runs[1]?.end()
  await second
  await turn()
  expect(runs).toHaveLength(3)
  runs[2]?.end()
  await fourth
  void call()
  expect(runs).toHaveLength(4)
})

test('a run that fails fails for its own callers only', async () => {
  const { runs, call } = operation()
  const first = call()
  const second = call()
  runs[0]?.fail(new Error('first'))
  await expect(first).rejects.toThrow('first')
  await turn()
  runs[1]?.end()
  await expect(second).resolves.toBeUndefined()
})
