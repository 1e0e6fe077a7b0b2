import type { SendResult } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import type { Submission } from './accept-batch.ts'
import { Batcher } from './batcher.ts'

function submission(id: string): Submission {
  return { item: { client_message_id: id } } as Submission
}

function resultOf({ item }: Submission): SendResult {
  return { client_message_id: item.client_message_id, status: 500, code: 'test' }
}

function makeBatcher(itemsMax: number, accept?: (items: readonly Submission[]) => Promise<readonly SendResult[]>) {
  const batches: string[][] = []
  const batcher = new Batcher({
    itemsMax,
    accept: async (submissions) => {
      batches.push(submissions.map((each) => each.item.client_message_id))
      return accept === undefined ? submissions.map(resultOf) : accept(submissions)
    },
  })
  const submit = async (...ids: string[]) =>
    (await batcher.submit(ids.map(submission))).map((result) => result.client_message_id)
  return { batches, batcher, submit }
}

test('frames that come together are one batch, and each gets its own results', async () => {
  const { batches, submit } = makeBatcher(10)
  const results = await Promise.all([submit('a', 'b'), submit('c'), submit('d', 'e')])
  expect(batches).toEqual([['a', 'b', 'c', 'd', 'e']])
  expect(results).toEqual([['a', 'b'], ['c'], ['d', 'e']])
})

test('a batch takes whole frames up to its bound, at least one, in the order of their arrival', async () => {
  const { batches, submit } = makeBatcher(3)
  await Promise.all([submit('a', 'b'), submit('c'), submit('d', 'e', 'f', 'g'), submit('h')])
  expect(batches).toEqual([['a', 'b', 'c'], ['d', 'e', 'f', 'g'], ['h']])
})

test('what comes while a batch is under way is the next one', async () => {
  const { batches, submit } = makeBatcher(10, async (submissions) => {
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    return submissions.map(resultOf)
  })
  const first = submit('a')
  await new Promise((resolve) => setImmediate(resolve))
  await Promise.all([first, submit('b'), submit('c')])
  expect(batches).toEqual([['a'], ['b', 'c']])
})

test('a batch that fails rejects its own frames and no later one', async () => {
  let failing = true
  const { batcher, submit } = makeBatcher(10, async (submissions) => {
    if (failing) throw new Error('down')
    return submissions.map(resultOf)
  })
  const failed = await Promise.allSettled([submit('a'), submit('b')])
  expect(failed.map((each) => each.status)).toEqual(['rejected', 'rejected'])
  failing = false
  expect(await submit('c')).toEqual(['c'])
  await batcher.drain()
})

test('drain waits for everything that was submitted', async () => {
  const { batches, batcher, submit } = makeBatcher(1)
  const submitted = Promise.all([submit('a'), submit('b'), submit('c')])
  await batcher.drain()
  expect(batches).toHaveLength(3)
  await submitted
})
