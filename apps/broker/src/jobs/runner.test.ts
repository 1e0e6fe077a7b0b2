import { expect, test } from 'vitest'
import { JobRunner } from './runner.ts'

function whenCalled(times: number): { readonly call: () => void; readonly called: Promise<void> } {
  let left = times
  let resolve: () => void = () => undefined
  const called = new Promise<void>((done) => {
    resolve = done
  })
  const call = () => {
    left -= 1
    if (left === 0) resolve()
  }
  return { call, called }
}

test('a job goes on step by step while there is more, and comes again at its interval', async () => {
  const { call, called } = whenCalled(5)
  let steps = 0
  const step = async () => {
    steps += 1
    call()
    return steps % 3 !== 0
  }
  const runner = new JobRunner({
    isLeader: () => true,
    jobs: [{ name: 'job', intervalMs: 1, step }],
    report: () => undefined,
  })
  runner.start()
  await called
  await runner.stop()
  expect(steps).toBeGreaterThanOrEqual(5)
})

test('a step that fails is reported and tried again at the next interval', async () => {
  const { call, called } = whenCalled(2)
  const reported: unknown[] = []
  const failure = new Error('down')
  const step = async () => {
    call()
    throw failure
  }
  const runner = new JobRunner({
    jobs: [{ name: 'job', intervalMs: 1, step }],
    isLeader: () => true,
    report: (error) => reported.push(error),
  })
  runner.start()
  await called
  await runner.stop()
  expect(reported.length).toBeGreaterThanOrEqual(1)
  expect(new Set(reported)).toEqual(new Set([failure]))
})

test('nothing begins after stop, and stop waits for the step under way', async () => {
  const begun = whenCalled(1)
  let finish: () => void = () => undefined
  let steps = 0
  const step = () => {
    steps += 1
    begun.call()
    return new Promise<boolean>((resolve) => {
      finish = () => resolve(true)
    })
  }
  const runner = new JobRunner({
    isLeader: () => true,
    jobs: [{ name: 'job', intervalMs: 1, step }],
    report: () => undefined,
  })
  runner.start()
  await begun.called
  const stopping = runner.stop()
  finish()
  await stopping
  expect(steps).toBe(1)
})

test('what is one node’s at a time is left to the leader, and what is every node’s is not', async () => {
  const { call, called } = whenCalled(3)
  let led = 0
  const runner = new JobRunner({
    jobs: [
      {
        name: 'led',
        intervalMs: 1,
        async step() {
          led += 1
          return false
        },
      },
      {
        name: 'own',
        intervalMs: 1,
        ofEveryNode: true,
        async step() {
          call()
          return false
        },
      },
    ],
    isLeader: () => false,
    report: () => undefined,
  })
  runner.start()
  await called
  await runner.stop()
  expect(led).toBe(0)
})
