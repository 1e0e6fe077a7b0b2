/** The promises of apps/broker/src/store/queues.ts about what becomes of work, over every engine. */
import { describe, expect, test } from 'vitest'
import { engines } from './engines.ts'
import { bury, consume, enqueue, leaveQueue, outcomesOf, receiptsFor, settle, take, takeOne } from './queue-scenario.ts'
import { openWithMembers } from './scenario.ts'

const dayMs = 86_400_000
const nack = { action: 'nack' } as const
const extend = { action: 'extend', leaseMs: 100_000 } as const

for (const { name, open } of engines) {
  const openQueue = async (maxDeliveries = 20) => {
    const opened = await openWithMembers(open)
    await consume(opened.engine, opened.bob, { maxDeliveries })
    await consume(opened.engine, opened.carol)
    return opened
  }

  describe(`settling (${name})`, () => {
    test('what is acknowledged is done for good, its sender is told, and the answer can be had again', async () => {
      const { engine, alice, bob, carol } = await openQueue()
      const [first, second] = await enqueue(engine, alice, [{}, { receipts: false }])
      const taken = await take(engine, bob)
      expect(await settle(engine, bob, taken)).toEqual({
        outcomes: ['done', 'done'],
        notified: [alice.memberId],
        returnedTo: [],
      })
      await engine.restart()
      expect(await settle(engine, bob, taken)).toEqual({ outcomes: ['done', 'done'], notified: [], returnedTo: [] })
      expect(taken.map(({ id }) => id)).toEqual([first, second])
      expect(await receiptsFor(engine, alice)).toEqual([
        { brokerMessageId: first, recipient: bob.memberId, state: 'delivered', reason: null },
      ])
      engine.clock.advance(10 * dayMs)
      expect(await take(engine, carol)).toEqual([])
    })

    test('who lost the lease to another cannot settle, and who has it can', async () => {
      const { engine, alice, bob, carol } = await openQueue()
      await enqueue(engine, alice, [{}])
      const before = await takeOne(engine, bob)
      engine.clock.advance(60_001)
      const now = await takeOne(engine, carol)
      for (const action of [{ action: 'ack' }, nack, extend] as const) {
        expect(await outcomesOf(settle(engine, bob, [before], action))).toEqual(['lease_lost'])
        expect(await outcomesOf(settle(engine, bob, [now], action))).toEqual(['lease_lost'])
      }
      expect(await outcomesOf(settle(engine, carol, [now]))).toEqual(['done'])
      expect(await outcomesOf(settle(engine, bob, [before]))).toEqual(['lease_lost'])
    })

    test('a lease that is over still counts until somebody else has the message', async () => {
      const { engine, alice, bob } = await openQueue()
      await enqueue(engine, alice, [{}, {}])
      const [late, later] = await take(engine, bob)
      if (late === undefined || later === undefined) throw new Error('both can be taken')
      engine.clock.advance(60_001)
      expect(await outcomesOf(settle(engine, bob, [late]))).toEqual(['done'])
      expect(await outcomesOf(settle(engine, bob, [later], extend))).toEqual(['extended'])
      expect(await take(engine, bob)).toEqual([])
    })

    test('what a clock put off that was ahead can be taken when that is noticed, and nothing else', async () => {
      const { engine, alice, bob } = await openQueue()
      engine.clock.advance(700 * dayMs)
      await enqueue(engine, alice, [{}, {}])
      const [leased, returned] = await take(engine, bob)
      if (leased === undefined || returned === undefined) throw new Error('both can be taken')
      await settle(engine, bob, [returned], { action: 'nack', delayMs: dayMs })
      engine.clock.advance(-700 * dayMs)
      await enqueue(engine, alice, [{}])
      await settle(engine, bob, [await takeOne(engine, bob)], { action: 'nack', delayMs: 6 * dayMs })
      expect(await take(engine, bob)).toEqual([])
      const bringNear = () => {
        const now = engine.clock.now()
        return engine.store.queues.bringNear({ latest: now + 7 * dayMs, now, rowsMax: 10 })
      }
      expect([await bringNear(), await bringNear()]).toEqual([2, 0])
      expect((await take(engine, bob)).map(({ id }) => id).sort()).toEqual([leased.id, returned.id].sort())
    })

    test('what is returned can be taken after the delay, and by the returned lease nothing is settled', async () => {
      const { engine, alice, bob, carol } = await openQueue()
      const [id] = await enqueue(engine, alice, [{}])
      const taken = await takeOne(engine, bob)
      const returning = { action: 'nack', delayMs: 5_000 } as const
      expect(await settle(engine, bob, [taken], returning)).toEqual({
        outcomes: ['returned'],
        notified: [],
        returnedTo: ['jobs'],
      })
      expect(await outcomesOf(settle(engine, bob, [taken], nack))).toEqual(['returned'])
      expect(await outcomesOf(settle(engine, bob, [taken]))).toEqual(['lease_lost'])
      expect(await outcomesOf(settle(engine, bob, [taken], extend))).toEqual(['lease_lost'])
      expect(await take(engine, carol)).toEqual([])
      engine.clock.advance(5_001)
      expect(await takeOne(engine, carol)).toMatchObject({ id, deliveries: 2 })
    })

    test('an extended lease lasts from now on as long as was asked', async () => {
      const { engine, alice, bob, carol } = await openQueue()
      await enqueue(engine, alice, [{}])
      const taken = await takeOne(engine, bob)
      expect(await outcomesOf(settle(engine, bob, [taken], extend))).toEqual(['extended'])
      engine.clock.advance(99_000)
      expect(await take(engine, carol)).toEqual([])
      engine.clock.advance(1_001)
      expect(await takeOne(engine, carol)).toMatchObject({ id: taken.id })
    })

    test('outcomes come in the order of the items, whatever each is about', async () => {
      const { engine, alice, bob } = await openQueue()
      await enqueue(engine, alice, [{}, {}])
      const [first, second] = await take(engine, bob)
      if (first === undefined || second === undefined) throw new Error('both can be taken')
      const nobody = { id: engine.clock.nextId(), leaseId: first.leaseId }
      const strange = { ...second, leaseId: engine.clock.nextId() }
      expect(await outcomesOf(settle(engine, bob, [nobody, first, strange, first, second]))).toEqual([
        'unknown',
        'done',
        'lease_lost',
        'done',
        'done',
      ])
      const elsewhere = { ...bob, meshId: '01J0000000000000000000000A' }
      expect(await outcomesOf(settle(engine, elsewhere, [first]))).toEqual(['unknown'])
    })
  })

  describe(`dead letters (${name})`, () => {
    for (const how of ['is returned', 'is not settled in time', 'is left behind'] as const) {
      test(`a message whose last delivery ${how} is dead, and its sender is told`, async () => {
        const { engine, alice, bob, carol } = await openQueue(2)
        const [id] = await enqueue(engine, alice, [{ text: 'hard' }])
        await settle(engine, carol, [await takeOne(engine, carol)], { ...nack, reason: 'exit 1' })
        const taken = await takeOne(engine, bob)
        if (how === 'is returned') {
          expect(await settle(engine, bob, [taken], { ...nack, reason: 'exit 2' })).toEqual({
            outcomes: ['dead'],
            notified: [alice.memberId],
            returnedTo: [],
          })
          expect(await outcomesOf(settle(engine, bob, [taken], nack))).toEqual(['dead'])
          expect(await bury(engine)).toEqual({ rows: 0, notified: [] })
        } else {
          if (how === 'is left behind') await leaveQueue(engine, bob)
          else engine.clock.advance(60_001)
          expect(await take(engine, carol)).toEqual([])
          expect(await bury(engine)).toEqual({ rows: 1, notified: [alice] })
          expect(await bury(engine)).toEqual({ rows: 0, notified: [] })
        }
        const reason = {
          'is returned': 'exit 2',
          'is not settled in time': 'lease_over',
          'is left behind': 'consumer_left',
        }
        expect(await receiptsFor(engine, alice)).toEqual([
          { brokerMessageId: id, recipient: bob.memberId, state: 'undeliverable', reason: 'max_deliveries' },
        ])
        const dead = await engine.store.queues.pageDead(carol, { queue: 'jobs', after: 0, limit: 5, bytesMax: 1_000 })
        expect(dead).toMatchObject({
          more: false,
          messages: [
            { message: { sealed: Buffer.from('hard') }, deliveries: 2, consumer: bob.memberId, reason: reason[how] },
          ],
        })
        if (how !== 'is left behind') expect(await outcomesOf(settle(engine, bob, [taken]))).toEqual(['dead'])
        engine.clock.advance(10 * dayMs)
        expect(await take(engine, carol)).toEqual([])
      })
    }

    test('an unsettled last delivery may still be settled while nobody has looked', async () => {
      const { engine, alice, bob } = await openQueue(1)
      await enqueue(engine, alice, [{}])
      const taken = await takeOne(engine, bob)
      engine.clock.advance(60_001)
      expect(await outcomesOf(settle(engine, bob, [taken]))).toEqual(['done'])
      expect(await bury(engine)).toEqual({ rows: 0, notified: [] })
    })

    test('can be paged through, requeued and dropped, each once', async () => {
      const { engine, alice, bob, carol } = await openQueue(1)
      const ids = await enqueue(engine, alice, [{ text: 'one' }, { text: 'two' }, { text: 'three' }])
      await settle(engine, bob, await take(engine, bob), nack)
      const page = (after: number, limit: number, bytesMax = 1_000) => {
        return engine.store.queues.pageDead(carol, { queue: 'jobs', after, limit, bytesMax })
      }
      expect(await page(0, 2)).toMatchObject({ more: true, messages: [{ message: { historyId: 1 } }, {}] })
      expect(await page(0, 5, 4)).toMatchObject({ more: true, messages: [{ message: { historyId: 1 } }] })
      expect(await page(2, 2)).toMatchObject({ more: false, messages: [{ message: { historyId: 3 } }] })
      const selection = (...brokerMessageIds: string[]) => ({
        queue: 'jobs',
        brokerMessageIds,
        now: engine.clock.now(),
      })
      const [one = '', two = '', three = ''] = ids
      expect(await engine.store.queues.requeueDead(carol, { ...selection(one), queue: 'mail' })).toBe('queue_unknown')
      expect(await engine.store.queues.requeueDead(carol, selection(one, three, engine.clock.nextId()))).toBe(2)
      expect(await engine.store.queues.requeueDead(carol, selection(one))).toBe(0)
      expect(await engine.store.queues.dropDead(carol, selection(one, two))).toBe(1)
      expect(await engine.store.queues.dropDead(carol, selection(two))).toBe(0)
      expect(await page(0, 5)).toEqual({ kind: 'page', messages: [], more: false })
      const again = await take(engine, carol)
      expect(again).toMatchObject([
        { text: 'one', deliveries: 1 },
        { text: 'three', deliveries: 1 },
      ])
      expect(await outcomesOf(settle(engine, carol, again))).toEqual(['done', 'done'])
    })

    test('those that a consumer cannot open it is not shown', async () => {
      const { engine, alice, bob } = await openQueue(1)
      await enqueue(engine, alice, [{}])
      await settle(engine, bob, await take(engine, bob), nack)
      await consume(engine, alice)
      const page = { queue: 'jobs', after: 0, limit: 5, bytesMax: 1_000 }
      expect(await engine.store.queues.pageDead(alice, page)).toEqual({ kind: 'page', messages: [], more: false })
    })
  })

  describe(`retention of work (${name})`, () => {
    test('takes messages in every state, and reports those that nobody has done', async () => {
      const { engine, alice, bob, carol } = await openQueue(1)
      const ids = await enqueue(
        engine,
        alice,
        ['done', 'dead', 'leased', 'waiting', 'silent'].map((text) => {
          return { text, receipts: text === 'leased' || text === 'waiting' }
        }),
      )
      const [done, dead] = await take(engine, bob, { limit: 3 })
      if (done === undefined || dead === undefined) throw new Error('three can be taken')
      await settle(engine, bob, [done])
      await settle(engine, bob, [dead], nack)
      engine.clock.advance(31 * dayMs)
      const options = { now: engine.clock.now(), messageRetentionDays: 30, rowsMax: 100 }
      expect(await engine.store.expireMessages(options)).toEqual({ rows: 5, notified: [alice] })
      const first = [bob.memberId, carol.memberId].toSorted()[0]
      expect(await receiptsFor(engine, alice)).toEqual([
        { brokerMessageId: ids[2], recipient: bob.memberId, state: 'undeliverable', reason: 'expired' },
        { brokerMessageId: ids[3], recipient: first, state: 'undeliverable', reason: 'expired' },
      ])
      for (const table of ['message_queue', 'message_history'] as const) expect(await engine.count(table)).toBe(0)
      expect(await engine.store.expireMessages(options)).toMatchObject({ rows: 0 })
      expect(await outcomesOf(settle(engine, bob, [done]))).toEqual(['unknown'])
    })
  })
}
