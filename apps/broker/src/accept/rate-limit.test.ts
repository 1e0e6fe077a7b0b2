import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateLimit } from './rate-limit.ts'

function makeLimit(options: { member: number; mesh: number }) {
  let now = 10_000
  const limit = new RateLimit({ ...options, windowMs: 1_000, now: () => now })
  return {
    async take(sender: string, clientMessageId: string, meshId = 'm') {
      const [verdict] = await limit.take([{ meshId, sender, clientMessageId }])
      return verdict
    },
    advance: (ms: number) => {
      now += ms
    },
  }
}

test('a member gets its number of new ids per window, and is told when the next one begins', async () => {
  const { take, advance } = makeLimit({ member: 2, mesh: 100 })
  advance(300)
  expect([await take('a', '1'), await take('a', '2'), await take('a', '3')]).toEqual([
    { ok: true },
    { ok: true },
    { ok: false, retryAfterMs: 700 },
  ])
  expect(await take('b', '1')).toEqual({ ok: true })
  advance(700)
  expect(await take('a', '3')).toEqual({ ok: true })
})

test('a mesh has a limit of its own, and no mesh uses up that of another', async () => {
  const { take } = makeLimit({ member: 10, mesh: 2 })
  const verdicts = [await take('a', '1'), await take('b', '1'), await take('c', '1')]
  expect(verdicts.map((verdict) => verdict?.ok)).toEqual([true, true, false])
  expect(await take('a', '1', 'other')).toEqual({ ok: true })
})

test('a retry of an id costs nothing within its window, however often it comes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom('1', '2', '3', '4', '5'), { maxLength: 50 }), async (ids) => {
      const { take } = makeLimit({ member: 3, mesh: 100 })
      const admitted = new Set<string>()
      for (const id of ids) {
        const expected = admitted.has(id) || admitted.size < 3
        expect((await take('a', id))?.ok).toBe(expected)
        if (expected) admitted.add(id)
      }
    }),
  )
})
