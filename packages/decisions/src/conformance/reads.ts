/** Reading a part of a log, and following it. */
import assert from 'node:assert/strict'
import type { DecisionEvent } from '../event.ts'
import { code, collect, type DecisionLogCase, decide, set, space } from './scenario.ts'

export const readCases: readonly DecisionLogCase[] = [
  {
    name: 'a part of a log is read by numbers, and one that is not there yet is empty',
    async run({ log }) {
      for (const key of ['a', 'b', 'c', 'd']) await decide(log, set(key), key)
      const numbers = async (o: { after?: number; until?: number }) =>
        (await collect(log.events(space, o))).map(({ seq }) => seq)
      assert.deepEqual(await numbers({ after: 1 }), [2, 3, 4])
      assert.deepEqual(await numbers({ after: 1, until: 3 }), [2, 3])
      assert.deepEqual(await numbers({ until: 0 }), [])
      assert.deepEqual(await numbers({ after: 4 }), [])
      assert.deepEqual(await numbers({ after: 9, until: 12 }), [])
      for (const after of [-1, 0.5, Number.NaN]) {
        await assert.rejects(collect(log.events(space, { after })), code('invalid_cursor'))
      }
    },
  },
  {
    name: 'a space in which nothing was decided is unknown',
    async run({ log }) {
      await decide(log, set('a'), 'one')
      await assert.rejects(collect(log.events('nowhere')), code('space_unknown'))
      assert.deepEqual(await log.head('nowhere'), { seq: 0, oid: null })
    },
  },
  {
    name: 'who watches gets what is there and then every append, in order, each once',
    async run({ log }) {
      await decide(log, set('a'), 'i1')
      const stop = new AbortController()
      const seen: DecisionEvent[] = []
      const watching = (async () => {
        for await (const event of log.watch(space, 0, stop.signal)) {
          seen.push(event)
          if (event.seq === 30) stop.abort()
        }
      })()
      for (let seq = 2; seq <= 10; seq += 1) await decide(log, set('a'), `i${seq}`)
      const rest = Array.from({ length: 20 }, (_, index) => `i${index + 11}`)
      await Promise.all(rest.map((intentId) => decide(log, set('a'), intentId)))
      await watching
      assert.deepEqual(seen, await collect(log.events(space)))
    },
  },
  {
    name: 'a space is watched before it is there, and other spaces are not seen in it',
    async run({ log }) {
      const stop = new AbortController()
      const watching = log.watch(space, 0, stop.signal)[Symbol.asyncIterator]()
      const first = watching.next()
      await log.append('elsewhere', [set('a')], { intentId: 'one' })
      const appended = await decide(log, set('b'), 'one')
      assert.deepEqual(await first, { done: false, value: appended })
      const second = watching.next()
      stop.abort()
      assert.equal((await second).done, true)
    },
  },
]
