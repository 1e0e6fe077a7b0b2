/**
 * What two brokers over one database must not do to each other, over every engine; an engine of one process plays both.
 * Each race is run many times: that it comes out right once proves nothing.
 */
import { describe, expect, test } from 'vitest'
import type { RevocationChange } from '../../apps/broker/src/store/departures.ts'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import type { AcceptItem, Store } from '../../apps/broker/src/store/store.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import { type Engine, engines } from './engines.ts'
import { admissionOf, admit, makeItem, openWithMembers, subscribe } from './scenario.ts'

const rounds = 15
const minuteMs = 60_000
const news = { kind: 'topic', ref: 'news' } as const

for (const { name, open } of engines) {
  describe(`two brokers at once (${name})`, () => {
    test('register one mesh once, and let in everybody who brings its root key', async () => {
      const engine = await open()
      const [one, two] = await nodesOf(engine)
      for (let round = 0; round < rounds; round += 1) {
        const mesh = new RawMesh()
        const impostor = new RawMesh({ meshId: mesh.mesh.mesh_id })
        const hellos = [mesh.founder, mesh.join('ann'), mesh.founder].map((each) => admissionOf(engine, each))
        const outcomes = await Promise.all([
          ...hellos.flatMap((hello) => [one.admit(hello), two.admit(hello)]),
          two.admit(admissionOf(engine, impostor.founder)),
        ])
        const kinds = new Set(outcomes.map(({ kind }) => kind))
        expect(kinds).toEqual(new Set(['admitted', 'mesh_conflict']))
        const root = (await one.findMesh(mesh.mesh.mesh_id))?.rootKey
        expect(outcomes.at(-1)?.kind).toBe(root === mesh.mesh.root_key ? 'mesh_conflict' : 'admitted')
      }
      expect(await engine.count('mesh')).toBe(rounds)
      const registered = (await engine.audit()).filter(({ action }) => action === 'mesh_registered')
      expect(registered).toHaveLength(rounds)
    })

    test('let in one of two members by an invite of one use', async () => {
      const { engine, mesh } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      const before = await engine.count('invite_use')
      for (let round = 0; round < rounds; round += 1) {
        const token = mesh.invite({ uses: 1 })
        const [left, right] = [mesh.join('left', token), mesh.join('right', token)]
        const outcomes = await Promise.all([
          one.admit(admissionOf(engine, left)),
          two.admit(admissionOf(engine, right)),
          two.admit(admissionOf(engine, left)),
        ])
        const [first, second, again] = outcomes.map(({ kind }) => kind)
        expect([first, second].toSorted()).toEqual(['admitted', 'invite_used_up'])
        expect(again).toBe(first)
      }
      expect(await engine.count('invite_use')).toBe(before + rounds)
    })

    test('let in one of two rotations out of one epoch', async () => {
      const { engine, mesh } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      for (let round = 0; round < rounds; round += 1) {
        const person = mesh.join(`person-${round}`)
        const key = await admit(engine, person)
        const rotations = [mesh.rotate(person), mesh.rotate(person)]
        const outcomes = await Promise.all(
          rotations.map((each, index) => (index === 0 ? one : two).admit(admissionOf(engine, each))),
        )
        expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['admitted', 'epoch_conflict'])
        const winner = rotations[outcomes.findIndex(({ kind }) => kind === 'admitted')]
        expect((await one.findMember(key))?.chain).toEqual(winner?.chain)
      }
    })

    test('put one of two revocation lists that follow the same one', async () => {
      const { engine, mesh } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      for (let round = 0; round < rounds; round += 1) {
        const people = [await admit(engine, mesh.join('left')), await admit(engine, mesh.join('right'))]
        const changes = await Promise.all(people.map((person) => revocationOf(engine, mesh, { members: [person] })))
        const outcomes = await Promise.all(changes.map((put, index) => (index === 0 ? one : two).putRevocations(put)))
        expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['stale', 'stored'])
        for (const [index, person] of people.entries()) {
          const status = outcomes[index]?.kind === 'stored' ? 'revoked' : 'active'
          expect(await one.findMember(person)).toMatchObject({ status })
        }
      }
    })

    test('leave nobody in who came by an invite while it was revoked', async () => {
      const { engine, mesh } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      for (let round = 0; round < rounds; round += 1) {
        const inviteId = engine.clock.nextId()
        const joiner = mesh.join('joiner', mesh.invite({ inviteId }))
        const put = await revocationOf(engine, mesh, { invites: [inviteId] })
        const [stored, admitted] = await Promise.all([one.putRevocations(put), two.admit(admissionOf(engine, joiner))])
        expect(stored.kind).toBe('stored')
        const found = await one.findMember({ meshId: mesh.mesh.mesh_id, memberId: joiner.memberId })
        expect([admitted.kind, found?.status ?? null]).toEqual(
          admitted.kind === 'admitted' ? ['admitted', 'revoked'] : ['invite_revoked', null],
        )
      }
    })

    test('keep a member whose hello races the end of its lease', async () => {
      const { engine, mesh } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      for (let round = 0; round < rounds; round += 1) {
        const job = mesh.join(`job-${round}`)
        const key = await admit(engine, job, { ephemeralTtlMs: minuteMs })
        engine.clock.advance(2 * minuteMs)
        const at = engine.clock.now()
        const hello = { ...admissionOf(engine, job), ephemeralTtlMs: minuteMs, at }
        await Promise.all([
          two.leave(key, { at, rowsMax: 10, leaseEnded: true }),
          two.renewLeases([key], at),
          one.admit(hello),
        ])
        expect(await two.findMember(key)).toMatchObject({ status: 'active' })
      }
    })

    test('store a post for the subscribers of the epoch that it names, or say that it is another', async () => {
      const { engine, alice, bob, carol } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      await subscribe(engine, carol, 'news')
      const seen = { stored: 0, recipients_stale: 0 }
      for (let round = 0; round < 3 * rounds; round += 1) {
        const asked = await two.listRecipients(alice, { topic: 'news', limit: 10 })
        const change = { topic: 'news', subscribed: round % 2 === 0, at: engine.clock.now() }
        const post = { ...makeItem(engine, alice, news), recipientsEpoch: asked?.recipientsEpoch ?? -1 }
        const [outcomes] = await Promise.all([two.acceptBatch([post]), one.subscribe(bob, change)])
        const [outcome] = outcomes
        if (outcome?.kind === 'stored') expect(outcome.recipients.toSorted()).toEqual(asked?.members)
        else expect(outcome?.kind).toBe('recipients_stale')
        seen[outcome?.kind === 'stored' ? 'stored' : 'recipients_stale'] += 1
      }
      expect(seen.stored + seen.recipients_stale).toBe(3 * rounds)
    })

    test('deliver to a new subscriber exactly what is in its history', async () => {
      const { engine, mesh, alice, carol } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      await subscribe(engine, carol, 'news')
      for (let round = 0; round < rounds; round += 1) {
        const person = await admit(engine, mesh.join('person'))
        const change = { topic: 'news', subscribed: true, at: engine.clock.now() }
        const posts = Array.from({ length: 6 }, () => makeItem(engine, alice, news))
        await Promise.all([...posts.map((post) => two.acceptBatch([post])), one.subscribe(person, change)])
        const waiting = await claimAll(one, person)
        const page = await two.pageHistory(person, { after: 0, since: 0, limit: 100, bytesMax: 100_000 })
        expect(waiting.map(({ message }) => message.brokerMessageId)).toEqual(
          page.messages.map(({ brokerMessageId }) => brokerMessageId),
        )
      }
    })

    test('leave nothing waiting for a member that was revoked meanwhile, and report every message to it', async () => {
      const { engine, mesh, alice, carol } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      await subscribe(engine, carol, 'news')
      for (let round = 0; round < rounds; round += 1) {
        const victim = await admit(engine, mesh.join('victim'))
        await subscribe(engine, victim, 'news')
        const put = await revocationOf(engine, mesh, { members: [victim] })
        const items = Array.from({ length: 8 }, (_, index) =>
          makeItem(engine, alice, index % 2 === 0 ? news : { kind: 'dm', ref: victim.memberId }),
        )
        const [outcome, ...accepted] = await Promise.all([
          one.putRevocations(put),
          ...items.map((item) => two.acceptBatch([item])),
        ])
        expect(outcome).toMatchObject({ kind: 'stored', revoked: [victim.memberId] })
        expect(await claimAll(two, victim)).toEqual([])
        const reached = accepted.flat().flatMap((each, index) => {
          if (each.kind !== 'stored') expect(each.kind).toBe('recipient_revoked')
          return each.kind === 'stored' && each.recipients.includes(victim.memberId) ? [items[index]] : []
        })
        expect(await reportsOf(one, alice, victim)).toEqual(idsOf(reached))
      }
    })

    test('report each message once that waited for a member that left, whoever drains, and whoever acknowledges', async () => {
      const { engine, mesh, alice } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      for (let round = 0; round < rounds; round += 1) {
        const leaver = await admit(engine, mesh.join('leaver'))
        const items = Array.from({ length: 12 }, () => makeItem(engine, alice, { kind: 'dm', ref: leaver.memberId }))
        await one.acceptBatch(items)
        const claimed = await claimAll(two, leaver)
        const outcomes = claimed.slice(6).map(({ deliveryId }) => ({ deliveryId, outcome: 'stored' as const }))
        const at = engine.clock.now()
        await Promise.all([
          two.acknowledge(leaver, outcomes),
          one.leave(leaver, { at, rowsMax: 4, leaseEnded: false }).then(() => one.drain({ at, rowsMax: 3 })),
          two.drain({ at, rowsMax: 3 }),
        ])
        while ((await two.drain({ at, rowsMax: 100 })).rows > 0);
        expect(await reportsOf(one, alice, leaver)).toEqual(idsOf(items))
      }
      expect(await engine.count('delivery_queue')).toBe(0)
    })

    test('expire a message once, and never both expire and deliver it', async () => {
      const { engine, alice, bob } = await openWithMembers(open)
      const [one, two] = await nodesOf(engine)
      for (let round = 0; round < rounds; round += 1) {
        const items = Array.from({ length: 10 }, () => makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }))
        await one.acceptBatch(items)
        const claimed = await claimAll(two, bob)
        engine.clock.advance(31 * 24 * 60 * minuteMs)
        const retention = { now: engine.clock.now(), messageRetentionDays: 30, rowsMax: 100 }
        const expired = await Promise.all([
          one.expireMessages(retention),
          two.expireMessages(retention),
          two.acknowledge(
            bob,
            claimed.map(({ deliveryId }) => ({ deliveryId, outcome: 'stored' })),
          ),
        ])
        expect(expired[0].rows + expired[1].rows).toBeGreaterThanOrEqual(items.length)
        expect(await reportsOf(one, alice, bob)).toEqual(idsOf(items))
        const known = await two.findAccepted(items)
        expect(known.map((each) => each?.historyAvailable)).toEqual(items.map(() => false))
      }
      expect([await engine.count('topic_message'), await engine.count('message_history')]).toEqual([0, 0])
    })
  })
}

/** Two stores over the rows of the engine. */
async function nodesOf(engine: Engine): Promise<readonly [Store, Store]> {
  return [engine.store, await engine.openSecond()]
}

/** The next list of a mesh, as its founder puts it. */
async function revocationOf(
  engine: Engine,
  mesh: RawMesh,
  of: { readonly members?: readonly MemberKey[]; readonly invites?: readonly string[] },
): Promise<RevocationChange> {
  const at = engine.clock.now() - minuteMs
  const previous = (await engine.store.findRevocations(mesh.mesh.mesh_id))?.list
  const members = (of.members ?? []).map(({ memberId }) => ({ member_id: memberId, at }))
  const invites = (of.invites ?? []).map((inviteId) => ({ invite_id: inviteId, at }))
  const put = mesh.revoke({ members, invites }, previous === undefined ? {} : { previous })
  const { memberId, keys }: MemberIdentity = mesh.founder
  const issuer = { memberId, signingKey: keys.signing.publicKey }
  return { ...put, follows: previous?.number ?? null, issuer, at: engine.clock.now(), rowsMax: 100 }
}

async function claimAll(store: Store, member: MemberKey) {
  const request = { ...member, connectionId: 'all', leaseMs: minuteMs, itemsMax: 1_000, bytesMax: 1_000_000 }
  return (await store.claim(request)).deliveries
}

/** Takes the receipts that wait for a member. @returns the messages that they are about, those of one recipient */
async function reportsOf(store: Store, sender: MemberKey, recipient: MemberKey): Promise<readonly string[]> {
  const request = { ...sender, connectionId: 'reports', leaseMs: minuteMs, itemsMax: 1_000, bytesMax: 1_000_000 }
  const { receipts } = await store.claim(request)
  await store.acknowledge(
    sender,
    receipts.map(({ deliveryId }) => ({ deliveryId, outcome: 'stored' })),
  )
  return receipts
    .filter((receipt) => receipt.recipient === recipient.memberId)
    .map(({ brokerMessageId }) => brokerMessageId)
    .toSorted()
}

function idsOf(items: readonly (AcceptItem | undefined)[]): readonly string[] {
  return items.flatMap((item) => item?.brokerMessageId ?? []).toSorted()
}
