/** The promises of apps/broker/src/store/store.ts, over every engine. */
import type { Destination } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import type { AcceptOutcome } from '../../apps/broker/src/store/store.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { engines, type Table } from './engines.ts'
import {
  acceptOne,
  acknowledge,
  admissionOf,
  admit,
  claim,
  countAll,
  historyIdOf,
  makeItem,
  openWithMembers,
  sendMany,
  subscribe,
} from './scenario.ts'

const dayMs = 86_400_000
const acceptTables = [
  'client_message_dedupe',
  'topic_message',
  'message_history',
  'delivery_queue',
  'mention_index',
] as const satisfies readonly Table[]

for (const { name, open } of engines) {
  describe(`accepting (${name})`, () => {
    test('a new message has all its rows, and the same id again is known', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }, { mentions: [bob.memberId] })
      expect(await acceptOne(engine, item)).toEqual({
        kind: 'stored',
        brokerMessageId: item.brokerMessageId,
        historyId: 1,
        recipients: [bob.memberId],
      })
      expect(await countAll(engine, acceptTables)).toEqual([1, 1, 1, 1, 1])
      const again = await acceptOne(engine, { ...item, brokerMessageId: engine.clock.nextId() })
      const accepted = {
        brokerMessageId: item.brokerMessageId,
        historyId: 1,
        fingerprint: item.fingerprint,
        recipientCount: 1,
        firstSeenAt: item.acceptedAt,
        historyAvailable: true,
      }
      expect(again).toEqual({ kind: 'known', accepted })
      expect(await engine.store.findAccepted([item, { ...item, clientMessageId: 'other' }])).toEqual([accepted, null])
      expect(await countAll(engine, acceptTables)).toEqual([1, 1, 1, 1, 1])
    })

    const rejections: readonly {
      readonly what: string
      readonly to: Destination
      readonly epoch?: number
      readonly outcome: AcceptOutcome
    }[] = [
      { what: 'an unknown member', to: { kind: 'dm', ref: '0'.repeat(64) }, outcome: { kind: 'recipient_unknown' } },
      { what: 'an unknown topic', to: { kind: 'topic', ref: 'nowhere' }, outcome: { kind: 'topic_unknown' } },
      {
        what: 'a topic whose subscribers have changed',
        to: { kind: 'topic', ref: 'news' },
        epoch: 7,
        outcome: { kind: 'recipients_stale', recipientsEpoch: 1 },
      },
    ]
    for (const { what, to, epoch, outcome } of rejections) {
      test(`a message to ${what} is rejected, leaves nothing, and takes no number`, async () => {
        const { engine, alice, bob } = await openWithMembers(open)
        await subscribe(engine, bob, 'news')
        const bad = { ...makeItem(engine, alice, to), recipientsEpoch: epoch ?? null }
        const good = () => makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
        const outcomes = await engine.store.acceptBatch([good(), bad, good()])
        expect(outcomes[1]).toEqual(outcome)
        expect(outcomes.map(historyIdOf)).toEqual([1, null, 2])
        expect(await engine.store.findAccepted([bad])).toEqual([null])
        expect(await countAll(engine, acceptTables)).toEqual([2, 2, 2, 2, 0])
        const mended = await acceptOne(engine, { ...bad, destination: { kind: 'dm', ref: bob.memberId } })
        expect(mended).toMatchObject({ kind: 'stored', historyId: 3 })
      })
    }

    test('of many sends with one id at once exactly one is stored', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const to = { kind: 'dm', ref: bob.memberId } as const
      const same = makeItem(engine, alice, to, { id: 'contended', text: 'one' })
      const other = makeItem(engine, alice, to, { id: 'contended', text: 'another' })
      const items = Array.from({ length: 64 }, (_, n) => ({
        ...(n % 2 === 0 ? same : other),
        brokerMessageId: engine.clock.nextId(),
      }))
      // Some in batches of their own, some within one batch.
      const outcomes = (
        await Promise.all([
          ...items.slice(0, 48).map((item) => engine.store.acceptBatch([item])),
          engine.store.acceptBatch(items.slice(48)),
        ])
      ).flat()
      const stored = outcomes.filter((outcome) => outcome.kind === 'stored')
      expect(stored).toHaveLength(1)
      const known = outcomes.flatMap((outcome) => (outcome.kind === 'known' ? [outcome.accepted.brokerMessageId] : []))
      expect(known).toEqual(Array(63).fill(stored[0]?.brokerMessageId))
      expect(await countAll(engine, acceptTables)).toEqual([1, 1, 1, 1, 0])
    })

    test('an id that is taken goes before a rejection: the loser of a race hears of the winner', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await subscribe(engine, bob, 'news')
      const first = { ...makeItem(engine, alice, { kind: 'topic', ref: 'news' }), recipientsEpoch: 1 }
      const late = { ...first, brokerMessageId: engine.clock.nextId() }
      expect(await acceptOne(engine, first)).toMatchObject({ kind: 'stored' })
      const unsubscribe = { topic: 'news', subscribed: false, at: engine.clock.now() }
      const [during] = await Promise.all([acceptOne(engine, late), engine.store.subscribe(bob, unsubscribe)])
      for (const known of [during, await acceptOne(engine, late)]) {
        expect(known).toMatchObject({ kind: 'known', accepted: { brokerMessageId: first.brokerMessageId } })
      }
    })

    for (const table of acceptTables) {
      test(`a failure at the insert into ${table} leaves nothing of the message and everything of its neighbours`, async () => {
        const { engine, alice, bob } = await openWithMembers(open)
        await subscribe(engine, bob, 'news')
        const mend = await engine.failInserts(table)
        const items = [
          makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }, { mentions: [bob.memberId] }),
          makeItem(engine, alice, { kind: 'topic', ref: 'news' }, { mentions: [bob.memberId] }),
        ]
        // Only the table of mentions lets a message without one through.
        const plain = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
        const outcomes = await engine.store.acceptBatch([...items, plain])
        expect(outcomes.map((outcome) => outcome.kind)).toEqual([
          'failed',
          'failed',
          table === 'mention_index' ? 'stored' : 'failed',
        ])
        const kept = table === 'mention_index' ? 1 : 0
        expect(await countAll(engine, acceptTables)).toEqual([kept, kept, kept, kept, 0])
        await mend()
        const repeated = await engine.store.acceptBatch(items)
        expect(repeated.map(historyIdOf)).toEqual([kept + 1, kept + 2])
      })
    }

    test('history ids have no gap and one message each, whatever comes in whatever batches', async () => {
      const id = fc.integer({ min: 0, max: 11 })
      const target = fc.constantFrom('bob', 'nobody', 'news', 'nowhere')
      const models = fc.array(fc.array(fc.record({ id, target, text: fc.constantFrom('x', 'y') }), { maxLength: 6 }), {
        maxLength: 8,
      })
      await fc.assert(
        fc.asyncProperty(models, async (model) => {
          const { engine, alice, bob } = await openWithMembers(open)
          await subscribe(engine, bob, 'news')
          const destinations: Readonly<Record<string, Destination>> = {
            bob: { kind: 'dm', ref: bob.memberId },
            nobody: { kind: 'dm', ref: 'f'.repeat(64) },
            news: { kind: 'topic', ref: 'news' },
            nowhere: { kind: 'topic', ref: 'nowhere' },
          }
          const sends = model.map((batch) =>
            batch.map((send) =>
              makeItem(engine, alice, destinations[send.target] ?? { kind: 'dm', ref: bob.memberId }, {
                id: `id-${send.id}`,
                text: send.text,
              }),
            ),
          )
          const batches = await Promise.all(sends.map((items) => engine.store.acceptBatch(items)))
          const all = sends.flatMap((items, batch) =>
            items.map((item, index) => ({ item, batch, index, outcome: batches[batch]?.[index] })),
          )
          const stored = all.flatMap(({ outcome, ...rest }) =>
            outcome?.kind === 'stored' ? [{ ...rest, outcome }] : [],
          )
          const owners = new Map(stored.map((each) => [each.item.clientMessageId, each]))
          expect(owners.size, 'an id is stored once').toBe(stored.length)
          const numbers = stored.map(({ outcome }) => outcome.historyId).toSorted((left, right) => left - right)
          expect(numbers).toEqual(numbers.map((_number, index) => index + 1))
          for (const { item, batch, index, outcome } of all) {
            const owner = owners.get(item.clientMessageId)
            if (owner?.item === item) continue
            // Batches come in any order; the items of one in theirs.
            const isLate = owner?.batch === batch && owner.index < index
            const goesNowhere = ['f'.repeat(64), 'nowhere'].includes(item.destination.ref)
            if (goesNowhere && !isLate && outcome?.kind !== 'known') {
              expect(['recipient_unknown', 'topic_unknown']).toContain(outcome?.kind)
            } else {
              const { brokerMessageId } = owner?.item ?? {}
              expect(outcome).toMatchObject({ kind: 'known', accepted: { brokerMessageId } })
            }
          }
          expect(await countAll(engine, acceptTables.slice(0, 4))).toEqual(Array(4).fill(owners.size))
        }),
        { numRuns: 25 },
      )
    })

    test('a topic message is for every subscriber but its sender, and two meshes share nothing', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      for (const member of [alice, bob, carol]) await subscribe(engine, member, 'news')
      const other = new RawMesh()
      const stranger = await admit(engine, other.founder)
      await subscribe(engine, stranger, 'news')
      const post = await acceptOne(engine, makeItem(engine, alice, { kind: 'topic', ref: 'news' }, { id: 'same' }))
      expect(post).toMatchObject({ kind: 'stored', historyId: 1 })
      expect(post.kind === 'stored' && [...post.recipients].sort()).toEqual([bob.memberId, carol.memberId].sort())
      const foreign = makeItem(engine, stranger, { kind: 'topic', ref: 'news' }, { id: 'same' })
      expect(await acceptOne(engine, foreign)).toMatchObject({ kind: 'stored', historyId: 1, recipients: [] })
      const beyond = makeItem(engine, stranger, { kind: 'dm', ref: bob.memberId })
      expect(await acceptOne(engine, beyond)).toEqual({ kind: 'recipient_unknown' })
    })
  })

  describe(`delivering (${name})`, () => {
    test("claims come in order, within their bounds, and are nobody else's until they are released", async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 10, bytes: 100 })
      const first = await claim(engine, bob, { connectionId: 'one', itemsMax: 4 })
      const second = await claim(engine, bob, { connectionId: 'two', bytesMax: 250 })
      const tiny = await claim(engine, bob, { connectionId: 'two', bytesMax: 1 })
      expect([first, second, tiny].map((ids) => ids.length)).toEqual([4, 2, 1])
      expect([...first, ...second, ...tiny]).toEqual([...first, ...second, ...tiny].toSorted((x, y) => x - y))
      await engine.store.releaseClaims(bob, 'one')
      const rest = await claim(engine, bob, { connectionId: 'two' })
      expect(rest.slice(0, 4)).toEqual(first)
      expect(rest).toHaveLength(7)
      expect(await claim(engine, bob, { connectionId: 'three' })).toEqual([])
    })

    test('a claim is free again when its lease is over, and not before', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 3 })
      const claimed = await claim(engine, bob, { connectionId: 'one', itemsMax: 2 })
      engine.clock.advance(29_000)
      expect(await claim(engine, bob, { connectionId: 'two' })).toHaveLength(1)
      engine.clock.advance(2_000)
      expect(await claim(engine, bob, { connectionId: 'two' })).toEqual(claimed)
    })

    test('what is acknowledged is gone for good, by whichever connection, and what is not is there after a restart', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 4 })
      const [first = 0, second = 0, third = 0] = await claim(engine, bob, { connectionId: 'one' })
      await acknowledge(engine, bob, [first, third, 999_999])
      // The acknowledgement of somebody else's delivery is of nothing.
      await acknowledge(engine, alice, [second])
      await engine.restart()
      // An engine of several brokers keeps claims for as long as it was said.
      engine.clock.advance(30_000)
      const after = await claim(engine, bob, { connectionId: 'new' })
      expect(after).toHaveLength(2)
      expect(after[0]).toBe(second)
      await acknowledge(engine, bob, after)
      expect(await engine.count('delivery_queue')).toBe(0)
    })

    test('delivery ids are never used twice, also when everything was acknowledged before a restart', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 3, receipts: false })
      const before = await claim(engine, bob, { connectionId: 'one' })
      await acknowledge(engine, bob, before)
      await engine.restart()
      await sendMany(engine, { from: alice, to: bob, count: 3, receipts: false })
      const after = await claim(engine, bob, { connectionId: 'one' })
      expect(Math.min(...after)).toBeGreaterThan(Math.max(...before))
    })

    const receipts = [
      { outcome: 'stored', receipt: { state: 'delivered', reason: null } },
      { outcome: 'duplicate', receipt: { state: 'delivered', reason: null } },
      { outcome: 'undecryptable', receipt: { state: 'undeliverable', reason: 'undecryptable' } },
      { outcome: 'rejected', receipt: { state: 'undeliverable', reason: 'rejected' } },
    ] as const
    for (const { outcome, receipt } of receipts) {
      test(`${outcome} leaves a receipt for the sender, which waits like a delivery`, async () => {
        const { engine, alice, bob } = await openWithMembers(open)
        const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
        await acceptOne(engine, item)
        const [deliveryId = 0] = await claim(engine, bob, { connectionId: 'one' })
        expect(await engine.store.acknowledge(bob, [{ deliveryId, outcome }])).toEqual([alice.memberId])
        expect(await engine.store.acknowledge(bob, [{ deliveryId, outcome }])).toEqual([])
        await engine.restart()
        const request = { ...alice, connectionId: 'two', leaseMs: 30_000, itemsMax: 10, bytesMax: 1_000 }
        const { receipts: waiting } = await engine.store.claim(request)
        expect(waiting).toMatchObject([
          { brokerMessageId: item.brokerMessageId, clientMessageId: item.clientMessageId, recipient: bob.memberId },
        ])
        expect(waiting[0]).toMatchObject(receipt)
        expect((await engine.store.claim(request)).receipts).toEqual([])
        await acknowledge(engine, alice, [waiting[0]?.deliveryId ?? 0])
        expect(await engine.count('receipt')).toBe(0)
      })
    }

    test('a message that asked for no receipts leaves none', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 1, receipts: false })
      const ids = await claim(engine, bob, { connectionId: 'one' })
      expect(await acknowledge(engine, bob, ids)).toEqual([])
      expect(await engine.count('receipt')).toBe(0)
    })

    test('a failure at the insert of a receipt keeps the delivery', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 1 })
      const ids = await claim(engine, bob, { connectionId: 'one' })
      const mend = await engine.failInserts('receipt')
      await expect(acknowledge(engine, bob, ids)).rejects.toThrow()
      expect(await engine.count('delivery_queue')).toBe(1)
      await mend()
      expect(await acknowledge(engine, bob, ids)).toEqual([alice.memberId])
    })
  })

  describe(`admitting (${name})`, () => {
    test('the first hello makes the mesh where that is allowed, and another root key is never taken', async () => {
      const engine = await open()
      const mesh = new RawMesh()
      const impostor = new RawMesh({ meshId: mesh.mesh.mesh_id })
      const founder = admissionOf(engine, mesh.founder)
      expect(await engine.store.admit({ ...founder, mayRegister: false })).toEqual({ kind: 'mesh_unknown' })
      expect(await engine.count('mesh')).toBe(0)
      expect(await engine.store.admit(founder)).toMatchObject({ kind: 'admitted', changed: 'joined' })
      expect(await engine.store.admit(founder)).toMatchObject({ kind: 'admitted', changed: null })
      expect(await engine.store.admit(admissionOf(engine, impostor.founder))).toEqual({ kind: 'mesh_conflict' })
      expect([await engine.count('mesh'), await engine.count('member')]).toEqual([1, 1])
    })

    test('an invite admits as many members as it says, however often each of them says hello', async () => {
      const engine = await open()
      const mesh = new RawMesh()
      await admit(engine, mesh.founder)
      const token = mesh.invite({ uses: 2 })
      const joiners = ['ann', 'ben', 'cat', 'dan'].map((joiner) => admissionOf(engine, mesh.join(joiner, token)))
      const outcomes = await Promise.all([...joiners, ...joiners].map((joiner) => engine.store.admit(joiner)))
      const kinds = outcomes.map((outcome) => outcome.kind)
      const first = kinds.slice(0, joiners.length)
      expect(first.toSorted()).toEqual(['admitted', 'admitted', 'invite_used_up', 'invite_used_up'])
      expect(kinds.slice(joiners.length)).toEqual(first)
      expect(await engine.count('invite_use')).toBe(2)
    })

    test('an invite that has expired admits nobody new, and those it admitted stay', async () => {
      const engine = await open()
      const mesh = new RawMesh()
      const token = mesh.invite({ uses: 5, notAfter: Date.now() + 60_000 })
      const early = mesh.join('early', token)
      const late = mesh.join('late', token)
      await admit(engine, early)
      engine.clock.advance(120_000)
      expect(await engine.store.admit(admissionOf(engine, early))).toMatchObject({ kind: 'admitted' })
      expect(await engine.store.admit(admissionOf(engine, late))).toEqual({ kind: 'invite_expired' })
    })

    test('a member never goes back to an epoch that it has left', async () => {
      const engine = await open()
      const mesh = new RawMesh()
      const first = mesh.rotate(mesh.founder)
      const current = mesh.rotate(first)
      await admit(engine, current)
      expect(await engine.store.admit(admissionOf(engine, first))).toEqual({ kind: 'epoch_stale' })
      const forks = [mesh.rotate(first), mesh.rotate(mesh.rotate(first)), mesh.rotate(mesh.rotate(mesh.rotate(first)))]
      for (const fork of forks) {
        expect(await engine.store.admit(admissionOf(engine, fork))).toEqual({ kind: 'epoch_conflict' })
      }
      const next = mesh.rotate(mesh.rotate(current))
      expect(await engine.store.admit(admissionOf(engine, next))).toMatchObject({
        kind: 'admitted',
        changed: 'renewed',
      })
    })
  })

  describe(`retention (${name})`, () => {
    test('an old message goes with all its rows, its id stays known, and whoever waits for it is reported', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      for (const member of [bob, carol]) await subscribe(engine, member, 'news')
      const old = makeItem(engine, alice, { kind: 'topic', ref: 'news' }, { mentions: [bob.memberId] })
      await acceptOne(engine, old)
      const [bobs = 0] = await claim(engine, bob, { connectionId: 'one' })
      await acknowledge(engine, bob, [bobs])
      engine.clock.advance(31 * dayMs)
      const young = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
      await acceptOne(engine, young)

      const retention = { now: engine.clock.now(), messageRetentionDays: 30, rowsMax: 100 }
      const { notified } = await engine.store.expireMessages(retention)
      expect(notified).toEqual([alice])
      expect(await countAll(engine, acceptTables)).toEqual([2, 1, 1, 1, 0])
      const [remembered, fresh] = await engine.store.findAccepted([old, young])
      expect([remembered?.historyAvailable, fresh?.historyAvailable]).toEqual([false, true])
      expect(await acceptOne(engine, old)).toMatchObject({ kind: 'known', accepted: { historyAvailable: false } })
      const { receipts } = await engine.store.claim({
        ...alice,
        connectionId: 'two',
        leaseMs: 1_000,
        itemsMax: 10,
        bytesMax: 1_000,
      })
      const said = receipts.map(({ recipient, state, reason }) => ({ recipient, state, reason }))
      expect(said).toContainEqual({ recipient: carol.memberId, state: 'undeliverable', reason: 'expired' })
      expect(await engine.store.expireMessages(retention)).toEqual({ rows: 0, notified: [] })
    })

    test('a message that a clock accepted which was ahead stays, and keeps no other from going', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      expect(await engine.store.lastAcceptedAt()).toBe(null)
      const to = { kind: 'dm', ref: bob.memberId } as const
      engine.clock.advance(900 * dayMs)
      const ahead = makeItem(engine, alice, to)
      await acceptOne(engine, ahead)
      engine.clock.advance(-900 * dayMs)
      const old = makeItem(engine, alice, to)
      await acceptOne(engine, old)
      engine.clock.advance(40 * dayMs)
      const now = engine.clock.now()
      await engine.store.expireMessages({ now, messageRetentionDays: 30, rowsMax: 20 })
      const found = await engine.store.findAccepted([ahead, old])
      expect(found.map((accepted) => accepted?.historyAvailable)).toEqual([true, false])
      expect(await engine.store.lastAcceptedAt()).toBeGreaterThan(now + 859 * dayMs)
    })

    test('a step of retention is bounded, and repeating it ends', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 50, receipts: false })
      engine.clock.advance(40 * dayMs)
      const steps: number[] = []
      do {
        const retention = { now: engine.clock.now(), messageRetentionDays: 30, rowsMax: 20 }
        steps.push((await engine.store.expireMessages(retention)).rows)
      } while ((steps.at(-1) ?? 0) > 0)
      expect(steps).toEqual([20, 20, 20, 20, 20, 0])
      expect(await countAll(engine, acceptTables)).toEqual([50, 0, 0, 0, 0])
    })

    test('an id is forgotten when its time is over, in bounded steps, and a permanent one never', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const to = { kind: 'dm', ref: bob.memberId } as const
      const now = engine.clock.now()
      const items = [now + dayMs, now + 2 * dayMs, null].map((dedupeExpiresAt) => ({
        ...makeItem(engine, alice, to),
        dedupeExpiresAt,
      }))
      await engine.store.acceptBatch(items)
      const late = now + 900 * dayMs
      const expire = (at: number, rowsMax: number) => engine.store.expireDedupe({ now: at, rowsMax })
      expect(await expire(late, 10), 'not before its message').toBe(0)
      await engine.store.expireMessages({ now: late, messageRetentionDays: 1, rowsMax: 100 })
      const steps = [await expire(now + dayMs - 1, 10), await expire(late, 1), await expire(late, 10)]
      expect(steps).toEqual([0, 1, 1])
      const found = await engine.store.findAccepted(items)
      expect(found.map((accepted) => accepted !== null)).toEqual([false, false, true])
    })
  })

  describe(`reading (${name})`, () => {
    test('a member pages through what was addressed to it, once each, in order, and nothing else', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      const post = (from: MemberKey, topic: string) =>
        acceptOne(engine, makeItem(engine, from, { kind: 'topic', ref: topic }))
      await subscribe(engine, carol, 'news')
      await post(alice, 'news')
      await subscribe(engine, bob, 'news')
      const mine: (number | null)[] = []
      for (let n = 0; n < 5; n += 1) {
        mine.push(historyIdOf(await post(alice, 'news')))
        await post(bob, 'news')
        await acceptOne(engine, makeItem(engine, bob, { kind: 'dm', ref: alice.memberId }))
        const dm = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
        mine.push(historyIdOf(await acceptOne(engine, dm)))
      }
      const found: number[] = []
      let after = 0
      for (let more = true; more; ) {
        const page = await engine.store.pageHistory(bob, { after, since: 0, limit: 3, bytesMax: 1_000 })
        expect(page.messages.length).toBeGreaterThan(0)
        found.push(...page.messages.map((message) => message.historyId))
        after = found.at(-1) ?? 0
        more = page.more
      }
      expect(found).toEqual(mine)
      const late = { after: 0, since: engine.clock.now() + 1_000, limit: 3, bytesMax: 1_000 }
      expect(await engine.store.pageHistory(bob, late)).toEqual({ messages: [], more: false })
      const small = await engine.store.pageHistory(bob, { after: 0, since: 0, limit: 100, bytesMax: 1 })
      expect(small).toMatchObject({ messages: [{ historyId: mine[0] }], more: true })
    })

    test('members and topics are paged in order, and a topic says who asks whether it subscribes', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      const sorted = [alice, bob, carol].map((member) => member.memberId).toSorted()
      const firstTwo = await engine.store.pageMembers(alice.meshId, { after: null, limit: 2 })
      const rest = await engine.store.pageMembers(alice.meshId, { after: sorted[1] ?? '', limit: 2 })
      expect([...firstTwo, ...rest].map((member) => member.memberId)).toEqual(sorted)
      for (const topic of ['b', 'c', 'a']) await subscribe(engine, bob, topic)
      await engine.store.subscribe(bob, { topic: 'c', subscribed: false, at: engine.clock.now() })
      const topics = await engine.store.pageTopics(bob, { after: null, limit: 10 })
      expect(topics.map(({ name: topic, subscribers, subscribed }) => [topic, subscribers, subscribed])).toEqual([
        ['a', 1, true],
        ['b', 1, true],
        ['c', 0, false],
      ])
      expect((await engine.store.pageTopics(alice, { after: 'a', limit: 1 })).map((t) => t.name)).toEqual(['b'])
    })

    test('repeating a subscription changes nothing, and there is no leaving a topic that is not there', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      expect(await subscribe(engine, bob, 'news')).toMatchObject({ changed: true })
      expect(await subscribe(engine, bob, 'news')).toMatchObject({ changed: false })
      const leave = { topic: 'nowhere', subscribed: false, at: engine.clock.now() }
      expect(await engine.store.subscribe(bob, leave)).toBeNull()
      const current = { ...makeItem(engine, alice, { kind: 'topic', ref: 'news' }), recipientsEpoch: 1 }
      expect(await acceptOne(engine, current)).toMatchObject({ kind: 'stored' })
    })
  })
}
