/** Rate limits, over every engine; see rates.ts for what is promised. */
import { randomUUID } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RateLimit } from '../../apps/broker/src/accept/rate-limit.ts'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
import { PostgresStore } from '../../apps/broker/src/store/postgres/postgres-store.ts'
import type { RateLimiter, RateLimits } from '../../apps/broker/src/store/rates.ts'
import { ask, freshDatabase } from '../support/postgres.ts'

/** So long that no test meets its end. */
const windowMs = 1e15

/** Two that count together. */
type Open = (limits: RateLimits) => Promise<readonly [RateLimiter, RateLimiter]>

const limiters: readonly { readonly name: string; readonly open: Open }[] = [
  {
    name: 'memory',
    async open(limits) {
      const limiter = new RateLimit({ ...limits, now: () => 1 })
      return [limiter, limiter]
    },
  },
  {
    name: 'PostgreSQL',
    async open(limits) {
      const url = await freshDatabase()
      return [await openOne(url, limits), await openOne(url, limits)]
    },
  },
]

async function openOne(url: string, limits: RateLimits): Promise<RateLimiter> {
  const store = await PostgresStore.open({ url, runtime: systemRuntime() })
  onTestFinished(() => store.close())
  return store.limitRates(limits)
}

const key = (sender: string, clientMessageId: string, meshId = 'm') => ({ meshId, sender, clientMessageId })

async function judge(limiter: RateLimiter, keys: readonly ReturnType<typeof key>[]): Promise<readonly boolean[]> {
  return (await limiter.take(keys)).map(({ ok }) => ok)
}

for (const { name, open } of limiters) {
  describe(`rate limits (${name})`, () => {
    test('hold for a member and for a mesh, over all who count together', async () => {
      const [one, two] = await open({ member: 3, mesh: 5, windowMs })
      expect(await judge(one, [key('a', '1'), key('a', '2')])).toEqual([true, true])
      expect(await judge(two, [key('a', '3'), key('a', '4'), key('b', '1')])).toEqual([true, false, true])
      expect(await judge(one, [key('c', '1'), key('c', '2')])).toEqual([true, false])
      expect(await judge(two, [key('c', '2', 'other')])).toEqual([true])
    })

    test('an id costs once, in one batch and in many, and what is refused costs nothing', async () => {
      const [one, two] = await open({ member: 2, mesh: 100, windowMs })
      expect(await judge(one, [key('a', '1'), key('a', '1'), key('a', '1')])).toEqual([true, true, true])
      for (let n = 0; n < 3; n += 1) expect(await judge(two, [key('a', '1')])).toEqual([true])
      expect(await judge(two, [key('a', '2'), key('a', '3'), key('a', '3')])).toEqual([true, false, false])
      expect(await judge(one, [key('a', '3'), key('a', '2')])).toEqual([false, true])
    })

    test('batches that come at once take together as much as the limit and no more', async () => {
      const [one, two] = await open({ member: 50, mesh: 80, windowMs })
      const batches = Array.from({ length: 20 }, (_, batch) =>
        Array.from({ length: 10 }, () => key(batch % 2 === 0 ? 'a' : 'b', randomUUID())),
      )
      const verdicts = await Promise.all(batches.map((batch, n) => judge(n % 3 === 0 ? one : two, batch)))
      expect(verdicts.flat().filter((ok) => ok)).toHaveLength(80)
    })

    test('nothing to judge is nothing to wait for', async () => {
      const [one] = await open({ member: 1, mesh: 1, windowMs })
      expect(await one.take([])).toEqual([])
    })
  })
}

test('a window that is over counts no more, and its rows are forgotten (PostgreSQL)', async () => {
  const url = await freshDatabase()
  const limiter = await openOne(url, { member: 1, mesh: 10, windowMs: 20 })
  let refused = 0
  for (let n = 0; n < 200; n += 1) {
    const [verdict] = await limiter.take([key('a', String(n))])
    if (verdict?.ok === false) {
      refused += 1
      expect(verdict.retryAfterMs).toBeGreaterThan(0)
      expect(verdict.retryAfterMs).toBeLessThanOrEqual(20)
    }
  }
  expect(refused).toBeLessThan(200)
  const before = await rows(url)
  while ((await limiter.forget(3)) > 0);
  expect(before).toBeGreaterThan(0)
  expect(await rows(url)).toBeLessThan(Math.max(before, 10))
})

async function rows(url: string): Promise<number> {
  const [found] = await ask<{ rows: number }>(url, 'SELECT count(*)::int AS rows FROM mesh.rate_id')
  return found?.rows ?? 0
}
