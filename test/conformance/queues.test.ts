/** The promises of apps/broker/src/store/queues.ts about who consumes and what is given out, over every engine. */
import { describe, expect, test } from 'vitest'
import { engines } from './engines.ts'
import { consume, enqueue, jobs, leaveQueue, outcomesOf, settle, take, takeOne } from './queue-scenario.ts'
import { acceptOne, admissionOf, makeItem, openWithMembers } from './scenario.ts'

for (const { name, open } of engines) {
  describe(`consumers (${name})`, () => {
    test('the first consumer makes the queue, and every change of them is a new epoch', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      const key = { meshId: alice.meshId, queue: 'jobs' }
      expect(await engine.store.queues.listConsumers(key)).toBeNull()
      expect(await leaveQueue(engine, bob)).toBeNull()
      expect(await consume(engine, bob)).toEqual({
        name: 'jobs',
        consumers: 1,
        consuming: true,
        maxDeliveries: 20,
        waiting: 0,
        leased: 0,
        dead: 0,
        createdAt: expect.any(Number),
      })
      expect(await consume(engine, bob, { maxDeliveries: 3 })).toMatchObject({ consumers: 1, maxDeliveries: 3 })
      expect(await consume(engine, carol)).toMatchObject({ consumers: 2, maxDeliveries: 3 })
      const both = [bob.memberId, carol.memberId].toSorted()
      expect(await engine.store.queues.listConsumers(key)).toEqual({ recipientsEpoch: 2, members: both })
      expect(await leaveQueue(engine, bob)).toMatchObject({ consumers: 1, consuming: false })
      expect(await leaveQueue(engine, bob)).toMatchObject({ consumers: 1 })
      expect(await engine.store.queues.listConsumers(key)).toEqual({ recipientsEpoch: 3, members: [carol.memberId] })
    })

    test('a queue has no more consumers than a message can be sealed for', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      await consume(engine, alice, { consumersMax: 2 })
      await consume(engine, bob, { consumersMax: 2 })
      expect(await consume(engine, carol, { consumersMax: 2 })).toBeNull()
      expect(await consume(engine, bob, { consumersMax: 2 })).toMatchObject({ consumers: 2 })
    })

    test('who is gone cannot become a consumer', async () => {
      const { engine, bob } = await openWithMembers(open)
      await engine.store.leave(bob, { at: engine.clock.now(), rowsMax: 10, leaseEnded: false })
      await expect(consume(engine, bob)).rejects.toMatchObject({ code: 'unauthenticated' })
    })

    test('queues are listed in order of their names, as the asking member sees them', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      for (const queue of ['jobs', 'builds', 'mail']) await consume(engine, bob, { queue })
      await enqueue(engine, alice, [{}, {}, {}])
      await takeOne(engine, bob)
      const now = engine.clock.now()
      const first = await engine.store.queues.page(alice, { limit: 2, after: null, now })
      expect(first.map((queue) => queue.name)).toEqual(['builds', 'jobs'])
      expect(first[1]).toMatchObject({ waiting: 2, leased: 1, dead: 0, consuming: false, consumers: 1 })
      const rest = await engine.store.queues.page(bob, { limit: 2, after: 'jobs', now })
      expect(rest).toMatchObject([{ name: 'mail', consuming: true }])
      expect(await engine.store.queues.count()).toEqual({ ready: 2, leased: 1, dead: 0 })
    })
  })

  describe(`accepting work (${name})`, () => {
    test('is refused without a queue, without a consumer and for other consumers, and leaves nothing', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const send = (recipientsEpoch: number | null) => {
        return acceptOne(engine, { ...makeItem(engine, alice, jobs), recipientsEpoch })
      }
      expect(await send(null)).toEqual({ kind: 'queue_unknown' })
      await consume(engine, bob)
      expect(await send(0)).toEqual({ kind: 'recipients_stale', recipientsEpoch: 1 })
      await leaveQueue(engine, bob)
      expect(await send(2)).toEqual({ kind: 'recipients_stale', recipientsEpoch: 2 })
      expect(await send(null)).toEqual({ kind: 'recipients_stale', recipientsEpoch: 2 })
      expect(await engine.count('client_message_dedupe')).toBe(0)
      await consume(engine, bob)
      expect(await send(3)).toMatchObject({ kind: 'stored', historyId: 1, recipients: [] })
    })

    test('keeps all rows of a message or none, and knows its id', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await consume(engine, bob)
      const item = makeItem(engine, alice, jobs, { mentions: [bob.memberId] })
      const mend = await engine.failInserts('message_queue')
      expect(await acceptOne(engine, item)).toMatchObject({ kind: 'failed' })
      expect(await engine.count('message_history')).toBe(0)
      await mend()
      expect(await acceptOne(engine, item)).toMatchObject({ kind: 'stored', historyId: 1 })
      const dm = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
      expect(await engine.store.acceptBatch([item, dm])).toMatchObject([
        { kind: 'known', accepted: { brokerMessageId: item.brokerMessageId, recipientCount: 1 } },
        { kind: 'stored', historyId: 2, recipients: [bob.memberId] },
      ])
      expect(await engine.count('message_queue')).toBe(1)
      expect(await engine.count('mention_index')).toBe(1)
      expect(await engine.count('delivery_queue')).toBe(1)
    })
  })

  describe(`taking (${name})`, () => {
    test('gives out by priority and then in order of acceptance, within its bounds', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await consume(engine, bob)
      const priorities = ['low', 'next', 'now', 'next', 'low', 'now'] as const
      await enqueue(
        engine,
        alice,
        priorities.map((priority, index) => ({ priority, text: `${priority} ${index}` })),
      )
      const first = await take(engine, bob, { limit: 3 })
      expect(first.map(({ text }) => text)).toEqual(['now 2', 'now 5', 'next 1'])
      const rest = await take(engine, bob, { bytesMax: 12 })
      expect(rest.map(({ text }) => text)).toEqual(['next 3', 'low 0'])
      const last = await take(engine, bob, { bytesMax: 1 })
      expect(last.map(({ text, deliveries }) => [text, deliveries])).toEqual([['low 4', 1]])
      expect(await take(engine, bob)).toEqual([])
    })

    test('what was held back comes in its order again once it is due, and hides nothing until then', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await consume(engine, bob)
      const texts = Array.from({ length: 300 }, (_, n) => `job ${n}`)
      await enqueue(
        engine,
        alice,
        texts.map((text) => ({ text })),
      )
      for (let n = 0; n < 300; n += 30) {
        const delayMs = n < 150 ? 5_000 : 1_000_000
        await settle(engine, bob, await take(engine, bob, { limit: 30 }), { action: 'nack', delayMs })
      }
      await enqueue(engine, alice, [{ text: 'fresh' }, { text: 'urgent', priority: 'now' }])
      const now = engine.clock.now()
      expect(await engine.store.queues.page(bob, { limit: 1, after: null, now })).toMatchObject([{ waiting: 302 }])
      const { text } = await takeOne(engine, bob)
      expect(text).toBe('urgent')
      engine.clock.advance(5_001)
      const due: string[] = []
      for (let n = 0; n < 8; n += 1) due.push(...(await take(engine, bob, { limit: 20 })).map((taken) => taken.text))
      expect(due).toEqual([...texts.slice(0, 150), 'fresh'])
    })

    test('is for consumers only', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await expect(take(engine, bob)).rejects.toThrow('queue_unknown')
      await consume(engine, bob)
      await expect(take(engine, alice)).rejects.toThrow('queue_not_consumed')
      const page = { queue: 'jobs', after: 0, limit: 1, bytesMax: 1 }
      const selection = { queue: 'jobs', brokerMessageIds: [engine.clock.nextId()], now: engine.clock.now() }
      for (const who of [alice, { ...bob, meshId: '01J0000000000000000000000A' }]) {
        const refusal = who === alice ? 'queue_not_consumed' : 'queue_unknown'
        expect(await engine.store.queues.pageDead(who, page)).toEqual({ kind: refusal })
        expect(await engine.store.queues.requeueDead(who, selection)).toBe(refusal)
        expect(await engine.store.queues.dropDead(who, selection)).toBe(refusal)
      }
    })

    test('what is leased is given to nobody else until the lease is over, also after a restart', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      await consume(engine, bob)
      await consume(engine, carol)
      const [id] = await enqueue(engine, alice, [{}])
      await takeOne(engine, bob, { leaseMs: 10_000 })
      await engine.restart()
      expect(await take(engine, carol)).toEqual([])
      engine.clock.advance(10_001)
      expect(await takeOne(engine, carol)).toMatchObject({ id, deliveries: 2 })
    })

    test('says when there will be something to take', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await consume(engine, bob)
      const look = (now: number) => {
        const request = { ...bob, queue: 'jobs', limit: 1, bytesMax: 1, leaseId: engine.clock.nextId() }
        return engine.store.queues.take({ ...request, leaseMs: 5_000, now })
      }
      const now = engine.clock.now()
      expect(await look(now)).toEqual({ kind: 'taken', messages: [], nextAt: null })
      await enqueue(engine, alice, [{ acceptedAt: now }])
      expect(await look(now)).toMatchObject({ messages: [{ leaseUntil: now + 5_000 }] })
      expect(await look(now + 1)).toEqual({ kind: 'taken', messages: [], nextAt: now + 5_000 })
    })

    test('a consumer is given only what was accepted while it was one', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      await consume(engine, bob)
      await enqueue(engine, alice, [{ text: 'before carol' }])
      await consume(engine, carol)
      await enqueue(engine, alice, [{ text: 'for both' }])
      await leaveQueue(engine, carol)
      await enqueue(engine, alice, [{ text: 'without carol' }])
      await consume(engine, carol)
      expect((await take(engine, carol)).map(({ text }) => text)).toEqual(['for both'])
      expect((await take(engine, bob)).map(({ text }) => text)).toEqual(['before carol', 'without carol'])
    })

    test('of a consumer that left nothing is remembered once its messages are done', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      await consume(engine, bob)
      await consume(engine, carol)
      await enqueue(engine, alice, [{}])
      await leaveQueue(engine, carol)
      expect(await engine.count('queue_consumer')).toBe(2)
      await settle(engine, bob, await take(engine, bob))
      await leaveQueue(engine, bob)
      expect(await engine.count('queue_consumer')).toBe(0)
    })

    for (const how of ['leaves the queue', 'leaves the mesh', 'is revoked'] as const) {
      test(`what a consumer that ${how} had leased can be taken at once, and is its no more`, async () => {
        const { engine, mesh, alice, bob, carol } = await openWithMembers(open)
        await consume(engine, bob)
        await consume(engine, carol)
        await enqueue(engine, alice, [{}])
        const taken = await takeOne(engine, bob)
        const at = engine.clock.now()
        if (how === 'leaves the queue') await leaveQueue(engine, bob)
        else if (how === 'leaves the mesh') await engine.store.leave(bob, { at, rowsMax: 10, leaseEnded: false })
        else {
          const list = mesh.revoke({ members: [{ member_id: bob.memberId, at }] }, { issuer: null })
          const outcome = await engine.store.putRevocations({ ...list, follows: null, issuer: null, at, rowsMax: 10 })
          expect(outcome.kind).toBe('stored')
        }
        const key = { meshId: bob.meshId, queue: 'jobs' }
        expect(await engine.store.queues.listConsumers(key)).toMatchObject({
          recipientsEpoch: 3,
          members: [carol.memberId],
        })
        expect(await outcomesOf(settle(engine, bob, [taken]))).toEqual(['lease_lost'])
        expect(await takeOne(engine, carol)).toMatchObject({ id: taken.id, deliveries: 2 })
      })
    }

    test('a member that comes back to the mesh is no consumer, and may become one again', async () => {
      const { engine, people, alice, bob } = await openWithMembers(open)
      await consume(engine, bob)
      const [id] = await enqueue(engine, alice, [{}])
      await engine.store.leave(bob, { at: engine.clock.now(), rowsMax: 10, leaseEnded: false })
      await engine.store.admit(admissionOf(engine, people.bob))
      await expect(take(engine, bob)).rejects.toThrow('queue_not_consumed')
      await consume(engine, bob)
      expect(await takeOne(engine, bob)).toMatchObject({ id })
    })

    test('a take that is undone is as if it had not been', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await consume(engine, bob, { maxDeliveries: 1 })
      await enqueue(engine, alice, [{}])
      const { leaseId } = await takeOne(engine, bob)
      await engine.store.queues.untake(bob, { queue: 'jobs', leaseId })
      expect(await takeOne(engine, bob)).toMatchObject({ deliveries: 1 })
    })

    test('of takes at once, over two brokers, each message is in one', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      await consume(engine, bob)
      await consume(engine, carol)
      const ids = await enqueue(engine, alice, Array(200).fill({}))
      const stores = [engine.store, await engine.openSecond()]
      const taken: string[] = []
      for (let round = 0; taken.length < ids.length && round < 100; round += 1) {
        const takes = [bob, carol, bob, carol].map((member, index) => {
          return take(engine, member, { limit: 7, store: stores[index < 2 ? 0 : 1] ?? engine.store })
        })
        taken.push(...(await Promise.all(takes)).flat().map(({ id }) => id))
      }
      expect(taken.toSorted()).toEqual(ids.toSorted())
    })
  })
}
