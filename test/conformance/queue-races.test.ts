/** What holds of work queues whatever several consumers do at once and in whatever order, over every engine. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import type { Store } from '../../apps/broker/src/store/store.ts'
import { engines } from './engines.ts'
import { consume, enqueue, leaveQueue, outcomesOf, settle, type Taken, take } from './queue-scenario.ts'
import { openWithMembers } from './scenario.ts'

const nack = { action: 'nack' } as const
const extend = { action: 'extend', leaseMs: 100_000 } as const
const actions: Readonly<Record<string, Parameters<typeof settle>[3]>> = { ack: { action: 'ack' }, nack, extend }

for (const { name, open } of engines) {
  const openQueue = async (maxDeliveries = 1_000) => {
    const opened = await openWithMembers(open)
    await consume(opened.engine, opened.bob, { maxDeliveries })
    await consume(opened.engine, opened.carol)
    return opened
  }

  describe(`whatever consumers do (${name})`, () => {
    test('at once, over two brokers, coming and going, each message is done once', { timeout: 120_000 }, async () => {
      const { engine, alice, bob, carol } = await openQueue()
      const stores = [engine.store, await engine.openSecond()]
      const ids = await enqueue(engine, alice, Array(120).fill({}))
      const done: string[] = []
      const work = async (member: MemberKey, store: Store) => {
        for (let turn = 0; done.length < ids.length; turn += 1) {
          if (turn % 7 === 6) await consume(engine, member)
          const taken = await take(engine, member, { limit: 4, store, leaseMs: 1_000_000 }).catch(() => [])
          if (turn % 7 === 5) await leaveQueue(engine, member)
          const { outcomes } = await settle(engine, member, taken, turn % 3 === 0 ? nack : { action: 'ack' })
          done.push(...taken.filter((_, index) => outcomes[index] === 'done').map(({ id }) => id))
        }
      }
      await Promise.all(stores.flatMap((store) => [work(bob, store), work(carol, store)]))
      expect(done.toSorted()).toEqual(ids.toSorted())
      const told = await engine.store.claim({ ...alice, connectionId: 'c', leaseMs: 1, itemsMax: 500, bytesMax: 1_000 })
      expect(told.receipts.map(({ brokerMessageId }) => brokerMessageId).toSorted()).toEqual(ids.toSorted())
    })

    test('a message is leased to one of them at a time, and done once at most', { timeout: 120_000 }, async () => {
      const { engine, alice, bob, carol } = await openQueue()
      const ids = await enqueue(engine, alice, Array(4).fill({}))
      const members = [bob, carol]
      const holder = new Map<string, string>()
      const done = new Set<string>()
      const held: (Taken & { readonly by: number })[] = []
      const kind = fc.constantFrom('take', 'take', 'take', 'ack', 'nack', 'extend', 'wait')
      const step = fc.record({ kind, by: fc.nat({ max: 1 }), pick: fc.nat({ max: 99 }) })
      const run = async (script: readonly { readonly kind: string; readonly by: number; readonly pick: number }[]) => {
        for (const { kind, by, pick } of script) {
          const member = members[by] ?? bob
          const mine = held[pick % Math.max(1, held.length)]
          if (kind === 'wait') engine.clock.advance(40_000)
          else if (kind === 'take') {
            for (const taken of await take(engine, member, { limit: 1 })) {
              expect(done.has(taken.id)).toBe(false)
              holder.set(taken.id, taken.leaseId)
              held.push({ ...taken, by })
            }
          } else if (mine !== undefined) {
            const [outcome] = await outcomesOf(settle(engine, member, [mine], actions[kind]))
            if (done.has(mine.id)) expect(['done', 'lease_lost']).toContain(outcome)
            if (holder.get(mine.id) !== mine.leaseId || mine.by !== by) expect(outcome).toBe('lease_lost')
            if (outcome === 'done') done.add(mine.id)
          }
        }
      }
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), run), { numRuns: 15, endOnFailure: true })
      engine.clock.advance(200_000)
      const rest = await take(engine, bob)
      expect([...rest.map(({ id }) => id), ...done].toSorted()).toEqual(ids.toSorted())
    })
  })
}
