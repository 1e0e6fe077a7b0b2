/** The promises of apps/broker/src/store/departures.ts, and what they mean for the other operations, over every engine. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RevocationChange, RevocationOutcome } from '../../apps/broker/src/store/departures.ts'
import type { MemberKey, Receipt } from '../../apps/broker/src/store/rows.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import { type Engine, engines } from './engines.ts'
import {
  acceptOne,
  acknowledge,
  admissionOf,
  admit,
  claim,
  makeItem,
  openWithMembers,
  sendMany,
  subscribe,
} from './scenario.ts'

const minuteMs = 60_000
const news = { kind: 'topic', ref: 'news' } as const

for (const { name, open } of engines) {
  describe(`recipients of a topic (${name})`, () => {
    test('are its subscribers but the one who asks, as of an epoch that a send may name', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      expect(await recipients(engine, alice)).toBeNull()
      for (const member of [alice, bob, carol]) await subscribe(engine, member, 'news')
      const asked = await recipients(engine, alice)
      expect(asked?.members).toEqual([bob.memberId, carol.memberId].toSorted())
      expect((await recipients(engine, bob))?.recipientsEpoch).toBe(asked?.recipientsEpoch)
      expect((await engine.store.listRecipients(alice, { topic: 'news', limit: 1 }))?.members).toHaveLength(1)
      const item = { ...makeItem(engine, alice, news), recipientsEpoch: asked?.recipientsEpoch ?? -1 }
      expect(await acceptOne(engine, item)).toMatchObject({ kind: 'stored', recipients: expect.any(Array) })
    })

    test('have a new epoch whenever the set changes, by whatever, and only then', async () => {
      const who = fc.constantFrom('bob', 'carol', 'dan')
      const step = fc.record({ what: fc.constantFrom('subscribe', 'unsubscribe', 'leave', 'hello', 'revoke'), who })
      const shared = await open()
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
          const { engine, mesh, people, alice } = await openWithMembers(async () => shared)
          const everybody: Readonly<Record<string, MemberIdentity>> = { ...people, dan: mesh.join('dan') }
          await admit(engine, everybody['dan'] ?? mesh.founder)
          await subscribe(engine, alice, 'news')
          const subscribers = new Set<string>()
          const active = new Set(['bob', 'carol', 'dan'])
          const revoked = new Set<string>()
          for (const { what, who: person } of steps) {
            const identity = everybody[person] ?? mesh.founder
            const before = { ...(await recipients(engine, alice)) }
            await act(engine, { what, identity, mesh })
            // The reference.
            if (what === 'subscribe' && active.has(person)) subscribers.add(person)
            if (what === 'unsubscribe' || what === 'leave' || what === 'revoke') subscribers.delete(person)
            if (what === 'leave' || what === 'revoke') active.delete(person)
            if (what === 'revoke') revoked.add(person)
            if (what === 'hello' && !revoked.has(person)) active.add(person)
            const after = await recipients(engine, alice)
            const expected = [...subscribers].map((each) => everybody[each]?.memberId).toSorted()
            expect(after?.members).toEqual(expected)
            const isSame = JSON.stringify(before.members) === JSON.stringify(expected)
            expect(after?.recipientsEpoch === before.recipientsEpoch).toBe(isSame)
          }
        }),
        { numRuns: 25 },
      )
    })
  })

  describe(`revoking (${name})`, () => {
    test('takes a member out of everything at once, and tells whoever had sent it something', async () => {
      const { engine, mesh, people, alice, bob, carol } = await openWithMembers(open)
      for (const member of [bob, carol]) await subscribe(engine, member, 'news')
      const epoch = (await recipients(engine, alice))?.recipientsEpoch ?? 0
      const waiting = [makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }), makeItem(engine, carol, news)]
      await engine.store.acceptBatch(waiting)
      const own = makeItem(engine, bob, { kind: 'dm', ref: alice.memberId })
      await acceptOne(engine, own)

      const put = changeOf(engine, mesh, mesh.revoke({ members: [entry(bob)] }))
      const outcome = await engine.store.putRevocations(put)
      expect(outcome).toMatchObject({
        kind: 'stored',
        revoked: [bob.memberId],
        departure: { topics: [{ name: 'news', subscribers: 1 }] },
      })
      expect(notifiedBy(outcome)).toEqual([alice.memberId, carol.memberId].toSorted())
      await engine.restart()

      expect(await engine.store.findRevocations(alice.meshId)).toEqual({ list: put.list, chain: put.chain })
      expect(await engine.store.findMember(bob)).toMatchObject({ status: 'revoked' })
      expect(await recipients(engine, alice)).toEqual({ recipientsEpoch: epoch + 1, members: [carol.memberId] })
      expect(await claim(engine, bob, { connectionId: 'one' })).toEqual([])
      for (const [index, sender] of [alice, carol].entries()) {
        expect(
          (await receiptsOf(engine, sender)).map(({ state, reason, recipient }) => [state, reason, recipient]),
        ).toEqual([['undeliverable', 'revoked', bob.memberId]])
        expect(waiting[index]?.sender).toBe(sender.memberId)
      }
      // What it sent before stays where it is.
      const { messages } = await engine.store.pageHistory(alice, { after: 0, since: 0, limit: 9, bytesMax: 1_000 })
      expect(messages.map(({ sender }) => sender)).toContain(bob.memberId)
      expect(await engine.count('delivery_queue')).toBe(1)
      const stale = { ...makeItem(engine, alice, news), recipientsEpoch: epoch }
      expect(await acceptOne(engine, stale)).toEqual({ kind: 'recipients_stale', recipientsEpoch: epoch + 1 })
      const dm = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
      expect(await acceptOne(engine, dm)).toEqual({ kind: 'recipient_revoked' })
      const late = makeItem(engine, bob, { kind: 'dm', ref: alice.memberId })
      expect(await acceptOne(engine, late)).toEqual({ kind: 'sender_revoked' })
      expect(await acceptOne(engine, own)).toMatchObject({ kind: 'known' })
      await expect(subscribe(engine, bob, 'news')).rejects.toMatchObject({ code: 'member_revoked' })
      expect(await engine.store.admit(admissionOf(engine, people.bob))).toEqual({ kind: 'member_revoked' })
      expect((await engine.audit()).slice(-3)).toMatchObject([
        { actor: alice.memberId, action: 'revocations_put', detail: { number: 1 } },
        { actor: alice.memberId, action: 'member_revoked', detail: { member_id: bob.memberId } },
        { actor: 'broker', action: 'deliveries_dropped', detail: { reason: 'revoked', deliveries: 2 } },
      ])
    })

    test('drops a long queue in bounded batches, each with its row in the audit log, also after a restart', async () => {
      const { engine, mesh, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 25 })
      const put = { ...changeOf(engine, mesh, mesh.revoke({ members: [entry(bob)] })), rowsMax: 10 }
      await engine.store.putRevocations(put)
      expect([await engine.count('delivery_queue'), await engine.count('receipt')]).toEqual([15, 10])
      await engine.restart()
      const steps: number[] = []
      do {
        const { rows, notified } = await engine.store.drain({ at: engine.clock.now(), rowsMax: 10 })
        if (rows > 0) expect(notified).toEqual([alice])
        steps.push(rows)
      } while ((steps.at(-1) ?? 0) > 0)
      expect(steps).toEqual([10, 5, 0])
      expect([await engine.count('delivery_queue'), await engine.count('receipt')]).toEqual([0, 25])
      const dropped = (await engine.audit()).filter(({ action }) => action === 'deliveries_dropped')
      expect(dropped.map(({ detail }) => (detail as { deliveries: number }).deliveries)).toEqual([10, 10, 5])
    })

    test('drops the receipts that wait for it, and those about messages to itself', async () => {
      const { engine, mesh, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: bob, to: alice, count: 2 })
      await acknowledge(engine, alice, await claim(engine, alice, { connectionId: 'one' }))
      await sendMany(engine, { from: bob, to: bob, count: 1 })
      const outcome = await engine.store.putRevocations(changeOf(engine, mesh, mesh.revoke({ members: [entry(bob)] })))
      expect(outcome.kind).toBe('stored')
      expect([await engine.count('delivery_queue'), await engine.count('receipt')]).toEqual([0, 0])
    })

    for (const table of ['receipt', 'audit_log', 'revocation_list'] as const) {
      test(`that fails at the insert into ${table} has changed nothing`, async () => {
        const { engine, mesh, alice, bob } = await openWithMembers(open)
        await subscribe(engine, bob, 'news')
        await sendMany(engine, { from: alice, to: bob, count: 2 })
        const before = await recipients(engine, alice)
        const put = changeOf(engine, mesh, mesh.revoke({ members: [entry(bob)] }))
        const mend = await engine.failInserts(table)
        await expect(engine.store.putRevocations(put)).rejects.toThrow()
        expect(await engine.store.findRevocations(alice.meshId)).toBeNull()
        expect(await engine.store.findMember(bob)).toMatchObject({ status: 'active' })
        expect(await recipients(engine, alice)).toEqual(before)
        expect(await engine.count('delivery_queue')).toBe(2)
        await mend()
        expect(await engine.store.putRevocations(put)).toMatchObject({ kind: 'stored', revoked: [bob.memberId] })
      })
    }

    test('of two lists made at once lets one be in force, and the other change nothing', async () => {
      const { engine, mesh, bob, carol } = await openWithMembers(open)
      const lists = [bob, carol].map((member) => changeOf(engine, mesh, mesh.revoke({ members: [entry(member)] })))
      const outcomes = await Promise.all(lists.map((list) => engine.store.putRevocations(list)))
      expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['stale', 'stored'])
      const first = outcomes.findIndex(({ kind }) => kind === 'stored')
      const spared = first === 0 ? carol : bob
      expect(await engine.store.findMember(spared)).toMatchObject({ status: 'active' })
      const previous = lists[first]?.list
      const next = mesh.revoke({ members: [entry(spared)] }, previous === undefined ? {} : { previous })
      const merged = await engine.store.putRevocations({ ...changeOf(engine, mesh, next), follows: 1 })
      expect(merged).toMatchObject({ kind: 'stored', revoked: [spared.memberId] })
    })

    test('is refused to who is no active member, or has another key by now', async () => {
      const { engine, mesh, people, alice, bob } = await openWithMembers(open)
      const put = changeOf(engine, mesh, mesh.revoke({ members: [entry(bob)] }))
      const stranger = { memberId: 'f'.repeat(64), signingKey: 'f'.repeat(64) }
      expect(await engine.store.putRevocations({ ...put, issuer: stranger })).toEqual({ kind: 'issuer_refused' })
      await admit(engine, mesh.rotate(people.alice))
      expect(await engine.store.putRevocations(put)).toEqual({ kind: 'issuer_refused' })
      expect(await engine.count('revocation_list')).toBe(0)
      engine.clock.advance(minuteMs)
      const own = { members: [{ member_id: alice.memberId, at: engine.clock.now() }] }
      const signed = mesh.revoke(own, { issuer: null, now: engine.clock.now() })
      const rooted = { ...changeOf(engine, mesh, signed), issuer: null }
      expect(await engine.store.putRevocations(rooted)).toMatchObject({ kind: 'stored', revoked: [alice.memberId] })
      expect((await engine.audit()).at(-1)).toMatchObject({ actor: 'root', action: 'member_revoked' })
    })

    test('of an invite keeps whom it had let in, and lets nobody else in', async () => {
      const { engine, mesh } = await openWithMembers(open)
      const inviteId = engine.clock.nextId()
      const token = mesh.invite({ uses: 9, inviteId })
      const early = mesh.join('early', token)
      await admit(engine, early)
      engine.clock.advance(minuteMs)
      const revokedAt = engine.clock.now()
      engine.clock.advance(minuteMs)
      // It came in after the admin had revoked the invite, and before the list came here.
      const between = await admit(engine, mesh.join('between', token))
      const list = mesh.revoke({ invites: [{ invite_id: inviteId, at: revokedAt }] }, { now: engine.clock.now() })
      expect(await engine.store.putRevocations(changeOf(engine, mesh, list))).toMatchObject({
        kind: 'stored',
        revoked: [between.memberId],
      })
      expect(await engine.store.admit(admissionOf(engine, mesh.join('late', token)))).toEqual({
        kind: 'invite_revoked',
      })
      expect(await engine.store.admit(admissionOf(engine, early))).toMatchObject({ kind: 'admitted', changed: null })
      const rotated = admissionOf(engine, mesh.rotate(early))
      expect(await engine.store.admit(rotated)).toMatchObject({ kind: 'admitted', changed: 'renewed' })
    })

    test('of an admin keeps whom it had let in, and lets nobody else in by it, however far down', async () => {
      const { engine, mesh } = await openWithMembers(open)
      const admin = mesh.join('admin', mesh.invite({ role: 'admin' }))
      // Their issuer never comes to the broker itself: it is heard of by the first of them.
      const hidden = mesh.join('hidden', mesh.invite({ role: 'admin', issuer: admin }))
      const token = mesh.invite({ uses: 9, issuer: hidden })
      await admit(engine, admin)
      const before = await admit(engine, mesh.join('before', token))
      engine.clock.advance(minuteMs)
      const at = engine.clock.now()
      const put = mesh.revoke({ members: [{ member_id: admin.memberId, at }] }, { now: at })
      expect(await engine.store.putRevocations(changeOf(engine, mesh, put))).toMatchObject({
        revoked: [admin.memberId],
      })
      expect(await engine.store.findMember(before)).toMatchObject({ status: 'active' })
      expect(await engine.store.admit(admissionOf(engine, mesh.join('after', token)))).toMatchObject({
        kind: 'admitted',
      })
      const direct = mesh.join('direct', mesh.invite({ issuer: admin }))
      expect(await engine.store.admit(admissionOf(engine, direct))).toEqual({ kind: 'issuer_revoked' })
      const other = mesh.join('other', mesh.invite({ issuer: admin, role: 'admin' }))
      const below = mesh.join('below', mesh.invite({ issuer: other }))
      expect(await engine.store.admit(admissionOf(engine, below))).toEqual({ kind: 'issuer_revoked' })
    })

    test('in one mesh is nothing in another', async () => {
      const { engine, mesh, bob } = await openWithMembers(open)
      const other = new RawMesh()
      await admit(engine, other.founder)
      await engine.store.putRevocations(changeOf(engine, mesh, mesh.revoke({ members: [entry(bob)] })))
      expect(await engine.store.findRevocations(other.mesh.mesh_id)).toBeNull()
    })
  })

  describe(`leaving (${name})`, () => {
    test('ends subscriptions and reports what waits, and the member may join again', async () => {
      const { engine, people, alice, bob } = await openWithMembers(open)
      await subscribe(engine, bob, 'news')
      const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
      await acceptOne(engine, item)
      const leaving = { at: engine.clock.now(), rowsMax: 10, leaseEnded: false }
      expect(await engine.store.leave(bob, leaving)).toEqual({
        topics: [{ name: 'news', subscribers: 0 }],
        notified: [alice.memberId],
      })
      expect(await engine.store.leave(bob, leaving)).toBeNull()
      await engine.restart()
      expect(await receiptsOf(engine, alice)).toMatchObject([
        { brokerMessageId: item.brokerMessageId, state: 'undeliverable', reason: 'left' },
      ])
      const dm = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
      expect(await acceptOne(engine, dm)).toEqual({ kind: 'recipient_unknown' })
      expect(await acceptOne(engine, makeItem(engine, bob, news))).toEqual({ kind: 'sender_left' })
      await expect(subscribe(engine, bob, 'news')).rejects.toMatchObject({ code: 'unauthenticated' })
      const uses = await engine.count('invite_use')
      expect(await engine.store.admit(admissionOf(engine, people.bob))).toMatchObject({ changed: 'joined' })
      expect(await engine.count('invite_use')).toBe(uses)
      expect((await recipients(engine, alice))?.members).toEqual([])
      expect(await acceptOne(engine, dm)).toMatchObject({ kind: 'stored' })
    })

    test('keeps a member listed as long as a message of it is kept', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      await acceptOne(engine, makeItem(engine, bob, { kind: 'dm', ref: alice.memberId }))
      for (const member of [bob, carol]) {
        await engine.store.leave(member, { at: engine.clock.now(), rowsMax: 10, leaseEnded: false })
      }
      const listed = async () => {
        const members = await engine.store.pageMembers(alice.meshId, { after: null, limit: 10 })
        return members.map(({ memberId, status }) => [memberId, status])
      }
      const both = [
        [alice.memberId, 'active'],
        [bob.memberId, 'left'],
      ]
      expect(await listed()).toEqual(both.toSorted())
      engine.clock.advance(31 * 24 * 60 * minuteMs)
      await engine.store.expireMessages({ now: engine.clock.now(), messageRetentionDays: 30, rowsMax: 100 })
      expect(await listed()).toEqual([[alice.memberId, 'active']])
    })

    test('in the middle of being drained and joining again, it gets what is left, and nothing is said twice', async () => {
      const { engine, people, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 5 })
      await engine.store.leave(bob, { at: engine.clock.now(), rowsMax: 2, leaseEnded: false })
      await admit(engine, people.bob)
      expect(await engine.store.drain({ at: engine.clock.now(), rowsMax: 10 })).toEqual({ rows: 0, notified: [] })
      const rest = await claim(engine, bob, { connectionId: 'one' })
      expect(rest).toHaveLength(3)
      await acknowledge(engine, bob, rest)
      const states = (await receiptsOf(engine, alice)).map(({ state }) => state)
      expect(states).toEqual(['undeliverable', 'undeliverable', 'delivered', 'delivered', 'delivered'])
    })

    test('that fails at the insert of a receipt has changed nothing', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      await sendMany(engine, { from: alice, to: bob, count: 1 })
      const leaving = { at: engine.clock.now(), rowsMax: 10, leaseEnded: false }
      const mend = await engine.failInserts('receipt')
      await expect(engine.store.leave(bob, leaving)).rejects.toThrow()
      expect(await engine.store.findMember(bob)).toMatchObject({ status: 'active' })
      await mend()
      expect(await engine.store.leave(bob, leaving)).not.toBeNull()
    })

    test('by the end of a lease takes only whom it has ended for, and a hello or a renewal begins it anew', async () => {
      const { engine, mesh, people, alice, bob, carol } = await openWithMembers(open)
      const ephemeral = { ephemeralTtlMs: 10 * minuteMs }
      await admit(engine, people.bob, ephemeral)
      await admit(engine, people.carol, ephemeral)
      const dan = await admit(engine, mesh.join('dan'), ephemeral)
      const ended = () => engine.store.listEndedLeases({ now: engine.clock.now(), limit: 10 })
      const end = (member: MemberKey) =>
        engine.store.leave(member, { at: engine.clock.now(), rowsMax: 10, leaseEnded: true })
      engine.clock.advance(9 * minuteMs)
      expect(await ended()).toEqual([])
      expect(await end(bob)).toBeNull()
      await engine.store.renewLeases([bob, alice], engine.clock.now())
      await admit(engine, people.carol)
      await engine.restart()
      engine.clock.advance(2 * minuteMs)
      expect(await ended()).toEqual([dan])
      expect(await end(dan)).not.toBeNull()
      expect([await end(alice), await end(bob), await end(carol), await end(dan)]).toEqual([null, null, null, null])
      engine.clock.advance(60 * minuteMs)
      expect(await ended()).toEqual([bob])
      // After a time in which nobody could be connected.
      await engine.store.renewLeases(null, engine.clock.now())
      expect(await ended()).toEqual([])
      expect((await engine.audit()).at(-1)).toMatchObject({ action: 'member_left', detail: { lease_ended: true } })
    })
  })
}

async function act(
  engine: Engine,
  { what, identity, mesh }: { readonly what: string; readonly identity: MemberIdentity; readonly mesh: RawMesh },
): Promise<void> {
  const key = { meshId: identity.mesh.mesh_id, memberId: identity.memberId }
  const at = engine.clock.now()
  switch (what) {
    case 'hello':
      await engine.store.admit(admissionOf(engine, identity))
      return
    case 'leave':
      await engine.store.leave(key, { at, rowsMax: 10, leaseEnded: false })
      return
    case 'revoke': {
      const previous = (await engine.store.findRevocations(key.meshId))?.list
      const put = mesh.revoke({ members: [entry(key)] }, previous === undefined ? {} : { previous })
      const outcome = await engine.store.putRevocations({
        ...changeOf(engine, mesh, put),
        follows: previous?.number ?? null,
      })
      expect(outcome.kind).toBe('stored')
      return
    }
    default: {
      const subscribed = what === 'subscribe'
      // Whoever is gone is refused.
      await engine.store.subscribe(key, { topic: 'news', subscribed, at }).catch(() => null)
    }
  }
}

function recipients(engine: Engine, member: MemberKey) {
  return engine.store.listRecipients(member, { topic: 'news', limit: 100 })
}

function entry({ memberId }: MemberKey): { member_id: string; at: number } {
  return { member_id: memberId, at: Date.now() - minuteMs }
}

/** The first list of a mesh, as its founder puts it. */
function changeOf(engine: Engine, mesh: RawMesh, put: Pick<RevocationChange, 'list' | 'chain'>): RevocationChange {
  const { memberId, keys } = mesh.founder
  const issuer = { memberId, signingKey: keys.signing.publicKey }
  return { ...put, follows: null, issuer, at: engine.clock.now(), rowsMax: 100 }
}

function notifiedBy(outcome: RevocationOutcome): readonly string[] {
  return outcome.kind === 'stored' ? outcome.departure.notified.toSorted() : []
}

async function receiptsOf(engine: Engine, member: MemberKey): Promise<readonly Receipt[]> {
  const request = { ...member, connectionId: 'receipts', leaseMs: 30_000, itemsMax: 100, bytesMax: 1_000 }
  return (await engine.store.claim(request)).receipts
}
