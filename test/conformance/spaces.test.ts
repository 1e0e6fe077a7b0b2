/** The leases of shared spaces over every engine, and appends under them; what is promised is in spaces.ts. */
import { spaceTopic } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import type { SpaceAppend, SpaceEnd } from '../../apps/broker/src/store/spaces.ts'
import { type Engine, engines } from './engines.ts'
import { claim, makeItem, openWithMembers, subscribe } from './scenario.ts'

const space = 'plans'
const termMs = 10_000
const skewMs = 2_000
const empty: SpaceEnd = { seq: 0, eventId: null }
const end = (seq: number): SpaceEnd => ({ seq, eventId: `01JD000000000000000000000${seq}` })

for (const { name, open } of engines) {
  describe(`spaces (${name})`, () => {
    test('a lease has one holder, until it is given up or past its term', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      expect(await acquire(engine, alice)).toMatchObject({ granted: true, lease: { holder: alice.memberId, epoch: 1 } })
      expect(await acquire(engine, bob)).toMatchObject({ granted: false, lease: { holder: alice.memberId, epoch: 1 } })
      await engine.store.spaces.release(alice, { space, epoch: 1 })
      expect(await acquire(engine, bob)).toMatchObject({ granted: true, lease: { holder: bob.memberId, epoch: 2 } })
      const { expiresAt } = await engine.store.spaces.find({ meshId: bob.meshId, space })
      const askAt = (now: number) => engine.store.spaces.acquire(alice, { space, head: empty, termMs, now })
      expect(await askAt(expiresAt + skewMs - 1)).toMatchObject({ granted: false })
      expect(await askAt(expiresAt + skewMs)).toMatchObject({ granted: true, lease: { epoch: 3 } })
    })

    test('its epoch grows with every grant, also to the same member and after a restart', async () => {
      const { engine, alice } = await openWithMembers(open)
      await acquire(engine, alice)
      expect(await acquire(engine, alice)).toMatchObject({ granted: true, lease: { epoch: 2 } })
      const store = await engine.restart()
      expect(await store.spaces.find({ meshId: alice.meshId, space })).toMatchObject({ epoch: 2 })
      expect(await acquire(engine, alice)).toMatchObject({ granted: true, lease: { epoch: 3 } })
    })

    test('it is renewed and given up by whoever was granted it last, and by nobody else', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const { spaces } = engine.store
      await acquire(engine, alice)
      const now = engine.clock.now() + termMs
      const renewed = await spaces.renew(alice, { space, epoch: 1, termMs, now })
      expect(renewed).toMatchObject({ epoch: 1, expiresAt: now + termMs })
      await spaces.release(bob, { space, epoch: 1 })
      expect(await spaces.renew(bob, { space, epoch: 1, termMs, now: engine.clock.now() })).toBeNull()
      await acquire(engine, alice)
      await spaces.release(alice, { space, epoch: 1 })
      expect(await spaces.renew(alice, { space, epoch: 1, termMs, now: engine.clock.now() })).toBeNull()
      expect(await spaces.find({ meshId: alice.meshId, space })).toMatchObject({ holder: alice.memberId, epoch: 2 })
    })

    test('a clock that was far ahead keeps nobody out for longer than a term', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const day = 86_400_000
      await engine.store.spaces.acquire(alice, { space, head: empty, termMs, now: engine.clock.now() + day })
      expect(await acquire(engine, bob)).toMatchObject({ granted: true })
    })

    test('an append reaches the followers and moves the head, once, however often it is asked for', async () => {
      const { engine, alice, bob } = await openWithFollowers(open)
      await acquire(engine, alice)
      const item = makeItem(engine, alice, { kind: 'topic', ref: spaceTopic(space) })
      const append = { space, epoch: 1, after: 0, head: end(2) }
      expect(await engine.store.appendToSpace(item, append)).toMatchObject({
        kind: 'stored',
        recipients: [bob.memberId],
      })
      expect(await engine.store.appendToSpace(item, append)).toMatchObject({ kind: 'known' })
      expect(await engine.store.spaces.find({ meshId: alice.meshId, space })).toMatchObject({ head: end(2) })
      expect(await claim(engine, bob, { connectionId: 'c' })).toHaveLength(1)
      expect(await claim(engine, alice, { connectionId: 'd' })).toEqual([])
    })

    const refused: Readonly<Record<string, (holder: MemberKey, other: MemberKey) => [MemberKey, SpaceAppend]>> = {
      'of a member that does not hold the lease': (_, other) => [other, { space, epoch: 1, after: 0, head: end(1) }],
      'of an epoch before': (holder) => [holder, { space, epoch: 0, after: 0, head: end(1) }],
      'of an epoch that was not granted': (holder) => [holder, { space, epoch: 2, after: 0, head: end(1) }],
      'that leaves a gap': (holder) => [holder, { space, epoch: 1, after: 1, head: end(2) }],
      'that goes back': (holder) => [holder, { space, epoch: 1, after: 0, head: empty }],
      'to another space': (holder) => [holder, { space: 'others', epoch: 1, after: 0, head: end(1) }],
    }
    for (const [what, make] of Object.entries(refused)) {
      test(`an append ${what} stores nothing`, async () => {
        const { engine, alice, bob } = await openWithFollowers(open)
        await acquire(engine, alice)
        const [sender, append] = make(alice, bob)
        const item = makeItem(engine, sender, { kind: 'topic', ref: spaceTopic(space) })
        expect(await engine.store.appendToSpace(item, append)).toEqual({ kind: 'lease_lost' })
        expect(await engine.count('topic_message')).toBe(0)
        expect(await engine.count('client_message_dedupe')).toBe(0)
        expect(await engine.store.spaces.find({ meshId: alice.meshId, space })).toMatchObject({ head: empty })
      })
    }

    test('what a holder appended before it was replaced is answered as before, and what it appends then is refused', async () => {
      const { engine, alice, bob } = await openWithFollowers(open)
      await acquire(engine, alice)
      const first = makeItem(engine, alice, { kind: 'topic', ref: spaceTopic(space) })
      const append = { space, epoch: 1, after: 0, head: end(1) }
      await engine.store.appendToSpace(first, append)
      engine.clock.advance(termMs + skewMs)
      expect(await acquire(engine, bob)).toMatchObject({ granted: true, lease: { epoch: 2, head: end(1) } })
      expect(await engine.store.appendToSpace(first, append)).toMatchObject({ kind: 'known' })
      const second = makeItem(engine, alice, { kind: 'topic', ref: spaceTopic(space) })
      expect(await engine.store.appendToSpace(second, { space, epoch: 1, after: 1, head: end(2) })).toEqual({
        kind: 'lease_lost',
      })
    })

    test('an append that is refused as a message moves nothing', async () => {
      const { engine, alice, bob } = await openWithFollowers(open)
      await acquire(engine, alice)
      const item = { ...makeItem(engine, alice, { kind: 'topic', ref: spaceTopic(space) }), recipientsEpoch: 99 }
      const append = { space, epoch: 1, after: 0, head: end(1) }
      expect(await engine.store.appendToSpace(item, append)).toMatchObject({ kind: 'recipients_stale' })
      expect(await engine.store.spaces.find({ meshId: bob.meshId, space })).toMatchObject({ head: empty })
    })

    test('the further head of the broker and of whoever is granted the lease holds', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      expect(await acquire(engine, alice, end(5))).toMatchObject({ lease: { head: end(5) } })
      await engine.store.spaces.release(alice, { space, epoch: 1 })
      expect(await acquire(engine, bob, end(3))).toMatchObject({ granted: true, lease: { head: end(5) } })
    })

    test('of many who ask at once one is granted it, and of appends at once one follows the head', async () => {
      const { engine, alice, bob, carol } = await openWithFollowers(open)
      const second = await engine.openSecond()
      const asked = [alice, bob, carol, bob, carol].map((member, place) =>
        (place % 2 === 0 ? engine.store : second).spaces.acquire(member, requestOf(engine, empty)),
      )
      const holders = (await Promise.all(asked)).map(({ lease }) => lease.holder)
      expect(new Set(holders).size).toBe(1)
      const holder = { meshId: alice.meshId, memberId: holders[0] ?? '' }
      const { epoch } = await engine.store.spaces.find({ meshId: alice.meshId, space })
      const outcomes = await Promise.all(
        [1, 2, 3, 4].map((place) =>
          (place % 2 === 0 ? engine.store : second).appendToSpace(
            makeItem(engine, holder, { kind: 'topic', ref: spaceTopic(space) }),
            { space, epoch, after: 0, head: end(1) },
          ),
        ),
      )
      expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['lease_lost', 'lease_lost', 'lease_lost', 'stored'])
    })

    test('nobody who is no member is granted a lease, and meshes have their own', async () => {
      const { engine, alice } = await openWithMembers(open)
      const stranger = { meshId: alice.meshId, memberId: 'f'.repeat(64) }
      await expect(acquire(engine, stranger)).rejects.toMatchObject({ code: 'unauthenticated' })
      const { alice: another } = await openWithMembers(async () => engine)
      await acquire(engine, alice)
      expect(await acquire(engine, another)).toMatchObject({ granted: true, lease: { epoch: 1 } })
    })
  })
}

async function openWithFollowers(open: () => Promise<Engine>) {
  const scene = await openWithMembers(open)
  for (const member of [scene.alice, scene.bob]) await subscribe(scene.engine, member, spaceTopic(space))
  return scene
}

const requestOf = (engine: Engine, head: SpaceEnd) => ({ space, head, termMs, now: engine.clock.now() })

function acquire(engine: Engine, member: MemberKey, head: SpaceEnd = empty) {
  return engine.store.spaces.acquire(member, requestOf(engine, head))
}
