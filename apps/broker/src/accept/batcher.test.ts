import { expect, test } from 'vitest'
import { Batcher } from './batcher.ts'

function makeBatcher(itemsMax: number, work = async (items: readonly string[]) => items) {
  const batches: (readonly string[])[] = []
  const batcher = new Batcher<string, string>({
    itemsMax,
    work: (items) => {
      batches.push(items)
      return work(items)
    },
  })
  return { batches, batcher, submit: (...items: string[]) => batcher.submit(items) }
}

test('groups that come together are one batch, and each gets its own results', async () => {
  const { batches, submit } = makeBatcher(10)
  const results = await Promise.all([submit('a', 'b'), submit('c'), submit('d', 'e')])
  expect(batches).toEqual([['a', 'b', 'c', 'd', 'e']])
  expect(results).toEqual([['a', 'b'], ['c'], ['d', 'e']])
})

test('a batch takes whole groups up to its bound, at least one, in the order of their arrival', async () => {
  const { batches, submit } = makeBatcher(3)
  await Promise.all([submit('a', 'b'), submit('c'), submit('d', 'e', 'f', 'g'), submit('h')])
  expect(batches).toEqual([['a', 'b', 'c'], ['d', 'e', 'f', 'g'], ['h']])
})

test('what comes while a batch is under way is the next one', async () => {
  const { batches, submit } = makeBatcher(10, async (items) => {
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    return items
  })
  const first = submit('a')
  await new Promise((resolve) => setImmediate(resolve))
  await Promise.all([first, submit('b'), submit('c')])
  expect(batches).toEqual([['a'], ['b', 'c']])
})

test('a batch that fails rejects its own groups and no later one', async () => {
  let failing = true
  const { batcher, submit } = makeBatcher(10, async (items) => {
    if (failing) throw new Error('down')
    return items
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
