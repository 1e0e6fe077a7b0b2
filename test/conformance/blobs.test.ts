/** Relayed blobs over every engine; what is promised is in blobs.ts. The bytes themselves are not here. */
import { describe, expect, test } from 'vitest'
import type { BlobKey, Reservation } from '../../apps/broker/src/store/blobs.ts'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import { type Engine, engines } from './engines.ts'
import { openWithMembers } from './scenario.ts'

const dayMs = 86_400_000
const address = (letter: string) => `blake3:${letter.repeat(64)}`

for (const { name, open } of engines) {
  describe(`blobs (${name})`, () => {
    test('terms are those that were offered first, also after a restart', async () => {
      const { engine } = await openWithMembers(open)
      const first = { ticketKey: Buffer.alloc(32, 1), place: 'here' }
      expect(await engine.store.blobs.agree(first)).toEqual(first)
      const store = await engine.restart()
      expect(await store.blobs.agree({ ticketKey: Buffer.alloc(32, 2), place: 'there' })).toEqual(first)
    })

    test('a blob is for its sender and whom it names, once it is stored, and ends when each of them has it', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      const { blobs } = engine.store
      const blob = reservation(engine, alice, { recipients: [bob] })
      expect(await blobs.reserve(blob)).toEqual({ kind: 'open', expiresAt: blob.expiresAt })
      expect(await blobs.findDownload(bob, blob.address)).toBeNull()
      expect(await blobs.acknowledge(bob, { address: blob.address, now: 1 })).toBe(false)
      expect(await store(engine, blob)).toBe('done')
      expect(await blobs.findDownload(bob, blob.address)).toMatchObject({ state: 'stored', sizeBytes: 100 })
      expect(await blobs.findDownload(alice, blob.address)).toMatchObject({ state: 'stored' })
      expect(await blobs.findDownload(carol, blob.address)).toBeNull()
      expect(await blobs.acknowledge(carol, { address: blob.address, now: 1 })).toBe(false)
      expect(await blobs.reserve({ ...blob, recipients: [carol.memberId] })).toMatchObject({ kind: 'stored' })
      expect(await blobs.acknowledge(bob, { address: blob.address, now: 1 })).toBe(true)
      expect(await blobs.findDownload(carol, blob.address)).toMatchObject({ state: 'stored' })
      expect(await blobs.acknowledge(bob, { address: blob.address, now: 1 })).toBe(true)
      expect(await blobs.acknowledge(carol, { address: blob.address, now: 1 })).toBe(true)
      expect(await blobs.findDownload(alice, blob.address)).toBeNull()
      expect(await blobs.usage()).toEqual({ blobs: 0, bytes: 0 })
    })

    test('of two senders of equal bytes each has its own blob, and the object goes after the last of them', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      const { blobs } = engine.store
      const one = reservation(engine, alice, { recipients: [bob] })
      const other = reservation(engine, carol, { recipients: [carol] })
      await blobs.reserve(one)
      await store(engine, one)
      expect(await blobs.reserve(other)).toMatchObject({ kind: 'open' })
      expect(await blobs.findDownload(carol, other.address)).toBeNull()
      await store(engine, other)
      engine.clock.advance(dayMs)
      await blobs.acknowledge(bob, { address: one.address, now: 1 })
      expect(await doom(engine)).toEqual([])
      await blobs.acknowledge(carol, { address: other.address, now: 1 })
      expect(await doom(engine)).toEqual([one.address])
      expect(await doom(engine), 'until it is deleted').toEqual([one.address])
    })

    test('an object that is doomed is published by nobody until it is deleted, and then anew', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const { blobs } = engine.store
      const blob = reservation(engine, alice, { recipients: [bob] })
      await blobs.reserve(blob)
      expect(await blobs.beginPublish(blob, { leaseUntil: engine.clock.now() + 1_000 })).toBe('done')
      expect(await doom(engine), 'while it is published').toEqual([])
      engine.clock.advance(2_000)
      expect(await doom(engine), 'of a process that died').toEqual([blob.address])
      expect(await blobs.beginPublish(blob, { leaseUntil: engine.clock.now() + 1_000 })).toBe('busy')
      expect(await blobs.finishPublish(blob)).toBe('busy')
      let deletions = 0
      await blobs.deleteObject(blob.address, async () => {
        deletions += 1
      })
      expect(deletions).toBe(1)
      expect(await blobs.finishPublish(blob), 'what was deleted is not stored').toBe('busy')
      expect(await store(engine, blob)).toBe('done')
      expect(await doom(engine)).toEqual([])
    })

    test('the bytes of a mesh are counted from the reservation on, and given back when a blob ends', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const { blobs } = engine.store
      const one = reservation(engine, alice, { recipients: [bob], quotaBytes: 250 })
      const two = { ...one, address: address('b') }
      const three = { ...one, address: address('c') }
      await blobs.reserve(one)
      await blobs.reserve(two)
      await blobs.reserve(two)
      expect(await blobs.usage()).toEqual({ blobs: 2, bytes: 200 })
      expect(await blobs.reserve(three)).toEqual({ kind: 'quota_exceeded', usedBytes: 200 })
      await store(engine, one)
      await blobs.acknowledge(bob, { address: one.address, now: 1 })
      expect(await blobs.reserve({ ...three, blobsMax: 1 })).toEqual({ kind: 'quota_exceeded', usedBytes: 100 })
      expect(await blobs.reserve(three)).toMatchObject({ kind: 'open' })
      expect(await blobs.usage()).toEqual({ blobs: 2, bytes: 200 })
    })

    test('of many reservations at once no more are kept than the quota has room for', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const second = await engine.openSecond()
      const one = reservation(engine, alice, { recipients: [bob], quotaBytes: 500 })
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, (_, n) =>
          (n % 2 === 0 ? engine.store : second).blobs.reserve({ ...one, address: address(n.toString(16)) }),
        ),
      )
      expect(outcomes.filter(({ kind }) => kind === 'open')).toHaveLength(5)
      expect(outcomes.filter(({ kind }) => kind === 'quota_exceeded')).toHaveLength(11)
      expect(await engine.store.blobs.usage()).toEqual({ blobs: 5, bytes: 500 })
    })

    test('too many open uploads, another size and recipients who are nobody are refused and change nothing', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const { blobs } = engine.store
      const one = reservation(engine, alice, { recipients: [bob], openMax: 1 })
      const nobody = { meshId: alice.meshId, memberId: 'f'.repeat(64) }
      expect(await blobs.reserve({ ...one, recipients: [nobody.memberId] })).toEqual({ kind: 'recipient_unknown' })
      await blobs.reserve({ ...one, recipients: [nobody.memberId, bob.memberId] })
      expect(await blobs.reserve({ ...one, address: address('b') })).toEqual({ kind: 'too_many_open' })
      expect(await blobs.reserve({ ...one, sizeBytes: 99 })).toEqual({ kind: 'size_differs', sizeBytes: 100 })
      expect(await blobs.usage()).toEqual({ blobs: 1, bytes: 100 })
      await store(engine, one)
      expect(await blobs.reserve({ ...one, address: address('b') })).toMatchObject({ kind: 'open' })
      await expect(blobs.reserve({ ...one, sender: nobody.memberId })).rejects.toMatchObject({
        code: 'unauthenticated',
      })
    })

    test('what has arrived is recorded only over what was recorded before, and while the blob is open', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const { blobs } = engine.store
      const blob = reservation(engine, alice, { recipients: [bob] })
      await blobs.reserve(blob)
      const one = { id: engine.clock.nextId(), offset: 0 }
      const more = { ...one, offset: 40 }
      expect(await blobs.recordSpooled(blob, { from: one, to: more })).toBe(false)
      expect(await blobs.recordSpooled(blob, { from: null, to: one })).toBe(true)
      expect(await blobs.recordSpooled(blob, { from: null, to: one })).toBe(false)
      expect(await blobs.recordSpooled(blob, { from: one, to: more })).toBe(true)
      expect(await blobs.findUpload(blob)).toMatchObject({ state: 'open', spooled: more })
      expect(await blobs.isSpooled(one.id)).toBe(true)
      await store(engine, blob)
      expect(await blobs.recordSpooled(blob, { from: more, to: one })).toBe(false)
      expect(await blobs.isSpooled(one.id)).toBe(false)
    })

    test('a member that is revoked uploads and downloads no more', async () => {
      const { engine, mesh, people, alice, bob } = await openWithMembers(open)
      const { blobs } = engine.store
      const sent = reservation(engine, alice, { recipients: [bob] })
      const own = reservation(engine, bob, { recipients: [alice], address: address('b') })
      await blobs.reserve(sent)
      await blobs.reserve(own)
      await store(engine, sent)
      const signed = mesh.revoke({ members: [{ member_id: bob.memberId, at: Date.now() - 60_000 }] })
      const issuer = { memberId: alice.memberId, signingKey: people.alice.keys.signing.publicKey }
      await engine.store.putRevocations({ ...signed, follows: null, issuer, at: engine.clock.now(), rowsMax: 100 })
      expect(await blobs.findDownload(bob, sent.address)).toBeNull()
      expect(await blobs.findUpload(own)).toBeNull()
      await expect(blobs.reserve(own)).rejects.toMatchObject({ code: 'member_revoked' })
    })

    test('what is past its time gives its bytes back and says so for a while; an idle upload is forgotten', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const { blobs } = engine.store
      const short = reservation(engine, alice, { recipients: [bob] })
      const idle = { ...short, address: address('b'), expiresAt: short.expiresAt + 30 * dayMs }
      await blobs.reserve(short)
      await store(engine, short)
      await blobs.reserve(idle)
      engine.clock.advance(2 * dayMs)
      const now = engine.clock.now()
      const times = { now, idleBefore: now - dayMs, forgetBefore: now - 10 * dayMs, rowsMax: 10 }
      expect(await blobs.expire(times)).toBe(2)
      expect(await blobs.expire(times)).toBe(0)
      expect(await blobs.usage()).toEqual({ blobs: 0, bytes: 0 })
      expect(await blobs.findDownload(bob, short.address)).toMatchObject({ state: 'expired' })
      expect(await blobs.findUpload(idle)).toBeNull()
      expect(await store(engine, short)).toBe('gone')
      expect(await doom(engine)).toEqual([short.address])
      expect(await blobs.expire({ ...times, forgetBefore: now })).toBe(1)
      expect(await blobs.findDownload(bob, short.address)).toBeNull()
    })

    test('an expired blob can be sent again, its end is put off and never brought nearer', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const { blobs } = engine.store
      const blob = reservation(engine, alice, { recipients: [bob] })
      await blobs.reserve(blob)
      expect(await blobs.reserve({ ...blob, expiresAt: blob.expiresAt - 1 })).toMatchObject({
        expiresAt: blob.expiresAt,
      })
      const later = blob.expiresAt + 5
      expect(await blobs.reserve({ ...blob, expiresAt: later })).toMatchObject({ expiresAt: later })
      const again = { ...blob, now: later + 1, expiresAt: later + dayMs, quotaBytes: 100 }
      expect(await blobs.reserve(again), 'before the job has seen it').toMatchObject({ expiresAt: again.expiresAt })
      expect(await blobs.usage()).toEqual({ blobs: 1, bytes: 100 })
    })

    test('blobs whose object is not there end, and can be sent again', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const { blobs } = engine.store
      const blob = reservation(engine, alice, { recipients: [bob] })
      await blobs.reserve(blob)
      await store(engine, blob)
      expect(await blobs.endMissing(blob.address)).toBe(1)
      expect(await blobs.findDownload(bob, blob.address)).toBeNull()
      expect(await blobs.reserve(blob)).toMatchObject({ kind: 'open' })
      expect(await blobs.usage()).toEqual({ blobs: 1, bytes: 100 })
    })
  })
}

function reservation(
  engine: Engine,
  sender: MemberKey,
  more: Partial<Omit<Reservation, 'recipients'>> & { readonly recipients: readonly MemberKey[] },
): Reservation {
  const now = engine.clock.now()
  return {
    meshId: sender.meshId,
    address: address('a'),
    sender: sender.memberId,
    sizeBytes: 100,
    expiresAt: now + dayMs,
    quotaBytes: 1_000_000,
    blobsMax: 1_000,
    openMax: 100,
    now,
    ...more,
    recipients: more.recipients.map(({ memberId }) => memberId),
  }
}

async function store(engine: Engine, key: BlobKey): Promise<string> {
  const { blobs } = engine.store
  const begun = await blobs.beginPublish(key, { leaseUntil: engine.clock.now() })
  return begun === 'done' ? blobs.finishPublish(key) : begun
}

function doom(engine: Engine): Promise<readonly string[]> {
  return engine.store.blobs.doomObjects({ now: engine.clock.now(), rowsMax: 10 })
}
