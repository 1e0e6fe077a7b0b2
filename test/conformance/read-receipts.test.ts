/** What members report as read, over every engine: apps/broker/src/store/store.ts, `recordRead`. */
import type { Destination } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { type Engine, engines } from './engines.ts'
import { acceptOne, acknowledge, admit, claim, makeItem, openWithMembers, subscribe } from './scenario.ts'

const dayMs = 86_400_000

for (const { name, open } of engines) {
  describe(`read receipts (${name})`, () => {
    test('follow the delivered one to the sender, with the time of the reader', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
      await acceptOne(engine, item)
      await acknowledge(engine, bob, await claim(engine, bob, { connectionId: 'b' }))
      engine.clock.advance(60_000)
      const at = engine.clock.now() - 30_000
      expect(await read(engine, bob, [item.brokerMessageId], at)).toEqual([alice.memberId])
      const about = {
        brokerMessageId: item.brokerMessageId,
        clientMessageId: item.clientMessageId,
        recipient: bob.memberId,
        reason: null,
      }
      expect(await receiptsOf(engine, alice)).toEqual([
        expect.objectContaining({ ...about, state: 'delivered' }),
        expect.objectContaining({ ...about, state: 'read', at }),
      ])
    })

    test('are left once for each message and reader, however often and whenever it is reported', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      await subscribe(engine, bob, 'news')
      await subscribe(engine, carol, 'news')
      const id = await send(engine, alice, { kind: 'topic', ref: 'news' })
      const at = engine.clock.now()
      const twice = [id, id].map((brokerMessageId) => ({ brokerMessageId, at }))
      const notified = await Promise.all([
        engine.store.recordRead(bob, twice),
        read(engine, bob, [id]),
        read(engine, carol, [id]),
        read(engine, bob, [id]),
      ])
      expect(notified.flat()).toEqual([alice.memberId, alice.memberId])
      const receipts = await receiptsOf(engine, alice)
      expect(receipts.map(({ recipient, state }) => [recipient, state]).sort()).toEqual(
        [bob, carol].map(({ memberId }) => [memberId, 'read']).sort(),
      )
      // Also when the sender has it already, and after a restart.
      await acknowledge(
        engine,
        alice,
        receipts.map(({ deliveryId }) => deliveryId),
      )
      expect(await read(engine, bob, [id])).toEqual([])
      await engine.restart()
      expect(await read(engine, carol, [id])).toEqual([])
      expect(await engine.count('receipt')).toBe(0)
    })

    test('are one for each of a frame full of messages, and nobody is notified twice', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      const items = Array.from({ length: 256 }, (_, n) =>
        makeItem(engine, n % 2 === 0 ? alice : carol, { kind: 'dm', ref: bob.memberId }),
      )
      await engine.store.acceptBatch(items)
      const notified = await read(
        engine,
        bob,
        items.map((item) => item.brokerMessageId),
      )
      expect([...notified].sort()).toEqual([alice.memberId, carol.memberId].sort())
      expect([(await receiptsOf(engine, alice)).length, (await receiptsOf(engine, carol)).length]).toEqual([128, 128])
    })

    test('are not left for a message that the member was never a recipient of', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      await subscribe(engine, bob, 'news')
      await subscribe(engine, alice, 'news')
      const toBob = await send(engine, alice, { kind: 'dm', ref: bob.memberId })
      const post = await send(engine, alice, { kind: 'topic', ref: 'news' })
      // Carol is none of its recipients, though she subscribes now; alice is not of her own post.
      await subscribe(engine, carol, 'news')
      expect(await read(engine, carol, [toBob, post, engine.clock.nextId()])).toEqual([])
      expect(await read(engine, alice, [toBob, post])).toEqual([])
      // Nor is a member of another mesh of anything here.
      const elsewhere = new RawMesh()
      const stranger = await admit(engine, elsewhere.founder)
      expect(await read(engine, { ...stranger, memberId: stranger.memberId }, [toBob, post])).toEqual([])
      expect([await engine.count('receipt'), await engine.count('message_read')]).toEqual([0, 0])
    })

    test('come also from a member that has unsubscribed since, or left and come back', async () => {
      const { engine, people, alice, bob, carol } = await openWithMembers(open)
      for (const member of [bob, carol]) await subscribe(engine, member, 'news')
      const before = await send(engine, alice, { kind: 'topic', ref: 'news' })
      await engine.store.subscribe(bob, { topic: 'news', subscribed: false, at: engine.clock.now() })
      await engine.store.leave(carol, { at: engine.clock.now(), rowsMax: 100, leaseEnded: false })
      const between = await send(engine, alice, { kind: 'topic', ref: 'news' })
      await subscribe(engine, bob, 'news')
      await admit(engine, people.carol)
      const after = await send(engine, alice, { kind: 'topic', ref: 'news' })
      await read(engine, bob, [before, between, after])
      await read(engine, carol, [before, between, after])
      const told = (await receiptsOf(engine, alice)).filter(({ state }) => state === 'read')
      expect(told.map(({ recipient, brokerMessageId }) => [recipient, brokerMessageId])).toEqual([
        [bob.memberId, before],
        [bob.memberId, after],
        [carol.memberId, before],
      ])
    })

    test('are not left for a message that asks for none', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }, { receipts: false })
      await acceptOne(engine, item)
      await acknowledge(engine, bob, await claim(engine, bob, { connectionId: 'b' }))
      expect(await read(engine, bob, [item.brokerMessageId])).toEqual([])
      expect(await engine.count('receipt')).toBe(0)
    })

    test('have a time between the acceptance and now, whatever the reader’s clock says', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const items = [1, 2].map(() => makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }))
      await engine.store.acceptBatch(items)
      engine.clock.advance(60_000)
      const [early, late] = items.map((item) => item.brokerMessageId)
      await read(engine, bob, [early ?? ''], 0)
      await read(engine, bob, [late ?? ''], engine.clock.now() + dayMs)
      const [first, second] = await receiptsOf(engine, alice)
      expect(first?.at).toBe(items[0]?.acceptedAt)
      expect(second?.at).toBeGreaterThan(items[1]?.acceptedAt ?? 0)
      expect(second?.at).toBeLessThanOrEqual(engine.clock.now())
    })

    test('come also before the acknowledgement, and do not take the place of the delivered one', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const id = await send(engine, alice, { kind: 'dm', ref: bob.memberId })
      const claimed = await claim(engine, bob, { connectionId: 'b' })
      await read(engine, bob, [id])
      await acknowledge(engine, bob, claimed)
      expect((await receiptsOf(engine, alice)).map(({ state }) => state)).toEqual(['read', 'delivered'])
    })

    test('of messages that retention has taken are passed over, and who had read them is forgotten', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const [known, late] = [
        await send(engine, alice, { kind: 'dm', ref: bob.memberId }),
        await send(engine, alice, { kind: 'dm', ref: bob.memberId }),
      ]
      await read(engine, bob, [known])
      expect(await engine.count('message_read')).toBe(1)
      engine.clock.advance(31 * dayMs)
      await engine.store.expireMessages({ now: engine.clock.now(), messageRetentionDays: 30, rowsMax: 100 })
      expect([await engine.count('topic_message'), await engine.count('message_read')]).toEqual([0, 0])
      expect(await read(engine, bob, [known, late])).toEqual([])
    })

    test('are refused of a member that is gone', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const id = await send(engine, alice, { kind: 'dm', ref: bob.memberId })
      await engine.store.leave(bob, { at: engine.clock.now(), rowsMax: 100, leaseEnded: false })
      await expect(read(engine, bob, [id])).rejects.toMatchObject({ code: 'unauthenticated' })
    })

    test('are there with the knowledge that they were reported, or neither is', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const id = await send(engine, alice, { kind: 'dm', ref: bob.memberId })
      for (const table of ['receipt', 'message_read'] as const) {
        const mend = await engine.failInserts(table)
        await expect(read(engine, bob, [id])).rejects.toThrow()
        await mend()
        expect([await engine.count('receipt'), await engine.count('message_read')]).toEqual([0, 0])
      }
      expect(await read(engine, bob, [id])).toEqual([alice.memberId])
    })
  })
}

/** @returns its broker_message_id */
async function send(engine: Engine, from: MemberKey, to: Destination): Promise<string> {
  const item = makeItem(engine, from, to)
  expect(await acceptOne(engine, item)).toMatchObject({ kind: 'stored' })
  return item.brokerMessageId
}

function read(engine: Engine, member: MemberKey, ids: readonly string[], at = engine.clock.now()) {
  return engine.store.recordRead(
    member,
    ids.map((brokerMessageId) => ({ brokerMessageId, at })),
  )
}

/** What waits for a member, in order; it is claimed by it. */
async function receiptsOf(engine: Engine, member: MemberKey) {
  const request = { ...member, connectionId: 'receipts', leaseMs: 30_000, itemsMax: 1_000, bytesMax: 1_000_000 }
  return (await engine.store.claim(request)).receipts
}
