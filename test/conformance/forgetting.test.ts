/** What becomes of the rows of members that left, over every engine. */
import { describe, expect, test } from 'vitest'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import { type Engine, engines } from './engines.ts'
import { acceptOne, admissionOf, admit, makeItem, openWithMembers, subscribe } from './scenario.ts'

const dayMs = 86_400_000
const ephemeral = { ephemeralTtlMs: 60_000 }
const news = { kind: 'topic', ref: 'news' } as const

for (const { name, open } of engines) {
  describe(`forgetting members (${name})`, () => {
    test('takes ephemeral ones that left longer ago than ids are remembered, and nobody else', async () => {
      const { engine, mesh, people, alice, bob, carol } = await openWithMembers(open)
      const job = mesh.join('job')
      const gone = await admit(engine, job, ephemeral)
      await subscribe(engine, gone, 'news')
      await engine.store.queues.consume(gone, {
        queue: 'builds',
        maxDeliveries: null,
        consumersMax: 9,
        now: engine.clock.now(),
      })
      for (const to of [news, { kind: 'queue', ref: 'builds' } as const]) {
        await acceptOne(engine, makeItem(engine, alice, to))
      }
      await engine.store.setProfile(gone, { summary: 'builds', activity: null, visible: true })
      const stays = await admit(engine, mesh.join('stays'), ephemeral)
      const uses = await engine.count('invite_use')
      for (const member of [gone, bob]) await leave(engine, member)
      const rotated = await admit(engine, mesh.rotate(people.carol), ephemeral)
      await leave(engine, rotated)

      engine.clock.advance(100 * dayMs)
      expect(await forget(engine)).toBe(0)
      expect(await engine.count('queue_consumer')).toBe(1)
      engine.clock.advance(dayMs)
      expect(await forget(engine)).toBe(1)
      expect(await forget(engine)).toBe(0)
      expect(await engine.store.findMember(gone)).toBeNull()
      expect(await engine.count('queue_consumer')).toBe(0)
      const kept = await Promise.all([alice, bob, carol, stays].map((member) => engine.store.findMember(member)))
      expect(kept.map((member) => member?.status)).toEqual(['active', 'left', 'left', 'active'])
      // What is counted of an invite stays counted.
      expect(await engine.count('invite_use')).toBe(uses)
      expect((await engine.audit()).map(({ actor }) => actor)).toContain(gone.memberId)

      // It has no way back; should its keys turn up all the same, it is nobody who had been there.
      expect(await engine.store.admit(admissionOf(engine, job))).toMatchObject({ kind: 'admitted', changed: 'joined' })
      expect(await engine.store.findMember(gone)).toMatchObject({ status: 'active', summary: null, lastSeenAt: null })
      expect(await engine.count('invite_use')).toBe(uses)
    })

    test('waits until no message of theirs is kept', async () => {
      const { engine, mesh, alice } = await openWithMembers(open)
      const job = await admit(engine, mesh.join('job'), ephemeral)
      await acceptOne(engine, makeItem(engine, job, { kind: 'dm', ref: alice.memberId }))
      await leave(engine, job)
      engine.clock.advance(101 * dayMs)
      expect(await forget(engine)).toBe(0)
      expect(await engine.store.findMember(job)).toMatchObject({ status: 'left' })
      await engine.store.expireMessages({ now: engine.clock.now(), messageRetentionDays: 30, rowsMax: 100 })
      expect(await forget(engine)).toBe(1)
    })

    test('waits until nothing waits for them', async () => {
      const { engine, mesh, alice } = await openWithMembers(open)
      const job = await admit(engine, mesh.join('job'), ephemeral)
      for (const _ of [1, 2]) await acceptOne(engine, makeItem(engine, alice, { kind: 'dm', ref: job.memberId }))
      await leave(engine, job, 1)
      engine.clock.advance(101 * dayMs)
      expect(await forget(engine)).toBe(0)
      expect(await engine.store.drain({ at: engine.clock.now(), rowsMax: 10 })).toMatchObject({ rows: 1 })
      expect(await forget(engine)).toBe(1)
    })

    test('never takes one that was revoked: it is not let in again', async () => {
      const { engine, mesh, alice } = await openWithMembers(open)
      const job = mesh.join('job')
      const key = await admit(engine, job, ephemeral)
      await leave(engine, key)
      const { keys, memberId } = mesh.founder
      const put = mesh.revoke({ members: [{ member_id: key.memberId, at: Date.now() - 60_000 }] })
      const issuer = { memberId, signingKey: keys.signing.publicKey }
      const change = { ...put, follows: null, issuer, at: engine.clock.now(), rowsMax: 10 }
      expect(await engine.store.putRevocations(change)).toMatchObject({ kind: 'stored', revoked: [job.memberId] })
      engine.clock.advance(101 * dayMs)
      expect(await forget(engine)).toBe(0)
      expect(await engine.store.findMember({ ...alice, memberId: job.memberId })).toMatchObject({ status: 'revoked' })
    })

    test('a list that comes after one was forgotten keeps it out all the same', async () => {
      const { engine, mesh } = await openWithMembers(open)
      const job = mesh.join('job')
      await leave(engine, await admit(engine, job, ephemeral))
      engine.clock.advance(101 * dayMs)
      expect(await forget(engine)).toBe(1)
      const { keys, memberId } = mesh.founder
      const put = mesh.revoke({ members: [{ member_id: job.memberId, at: Date.now() - 60_000 }] })
      const issuer = { memberId, signingKey: keys.signing.publicKey }
      const change = { ...put, follows: null, issuer, at: engine.clock.now(), rowsMax: 10 }
      expect(await engine.store.putRevocations(change)).toMatchObject({ kind: 'stored', revoked: [] })
      expect(await engine.store.admit(admissionOf(engine, job))).toEqual({ kind: 'member_revoked' })
    })

    test('is done in bounded steps, and goes on after a restart', async () => {
      const { engine, mesh } = await openWithMembers(open)
      for (const person of ['a', 'b', 'c', 'd', 'e']) {
        await leave(engine, await admit(engine, mesh.join(person), ephemeral))
      }
      engine.clock.advance(101 * dayMs)
      const steps = [await forget(engine, 2)]
      await engine.restart()
      steps.push(await forget(engine, 2), await forget(engine, 2), await forget(engine, 2))
      expect(steps).toEqual([2, 2, 1, 0])
    })
  })
}

async function leave(engine: Engine, member: MemberKey, rowsMax = 10): Promise<void> {
  expect(await engine.store.leave(member, { at: engine.clock.now(), rowsMax, leaseEnded: false })).not.toBeNull()
}

function forget(engine: Engine, rowsMax = 100): Promise<number> {
  return engine.store.forgetMembers({ now: engine.clock.now(), dedupeRetentionDays: 100, rowsMax })
}
