/** Revocation lists at the broker (05 §1, 04 §4). */
import type { RevocationList } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { startBroker } from '../support/raw-broker.ts'
import { makeHello, message, RawMember } from '../support/raw-member.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'

describe('a revocation', () => {
  test('closes the connections of the member 4005, keeps it out, and is told to everybody else', async () => {
    const { url, mesh, people, admin, bob, carol } = await openMesh()
    const { number } = await admin.request('revocations.put', mesh.revoke(revocationOf(people.bob)))
    expect(number).toBe(1)
    expect(await bob.closing()).toMatchObject({ code: 4005 })
    for (const member of [admin, carol]) {
      const told = await member.next('event', ({ items }) => items.some(({ kind }) => kind === 'revocations'))
      expect(told.items).toEqual([{ kind: 'revocations', number: 1 }])
    }
    expect(await refusalOf(url, people.bob)).toMatchObject({ code: 4005, reason: { kind: 'member_revoked' } })
    const again = mesh.rotate(people.bob)
    expect(await refusalOf(url, again)).toMatchObject({ code: 4005, reason: { kind: 'member_revoked' } })
    const { members } = await carol.request('members.list', { limit: 10 })
    const record = members.find(({ member_id: id }) => id === people.bob.memberId)
    expect(record).toMatchObject({ status: 'revoked', online: false })
  })

  test('drops what waits for the member and tells the senders, who may be away', async () => {
    const { url, mesh, people, admin, bob, carol } = await openMesh()
    await bob.close()
    const item = message({ to: { kind: 'dm', ref: people.bob.memberId } })
    await carol.postOne(item)
    await carol.postOne(message({ to: { kind: 'dm', ref: people.bob.memberId }, receipts: false }))
    await carol.close()
    await admin.request('revocations.put', mesh.revoke(revocationOf(people.bob)))
    const back = await RawMember.connect(url, people.carol)
    expect(await back.receipts(1)).toMatchObject([
      {
        client_message_id: item.client_message_id,
        recipient: people.bob.memberId,
        state: 'undeliverable',
        reason: 'revoked',
      },
    ])
    expect(await back.postOne(message({ to: { kind: 'dm', ref: people.bob.memberId } }))).toMatchObject({
      status: 403,
      code: 'member_revoked',
    })
  })

  test('of a long queue is answered at once, and every sender hears of every message', async () => {
    const { url, mesh, people, admin, bob, carol } = await openMesh({ jobIntervalMs: 10 })
    await bob.close()
    const to = { kind: 'dm', ref: people.bob.memberId } as const
    for (let n = 0; n < 6; n += 1) await carol.post(Array.from({ length: 200 }, () => message({ to })))
    await admin.request('revocations.put', mesh.revoke(revocationOf(people.bob)))
    const receipts = await carol.receipts(1_200)
    expect(new Set(receipts.map(({ client_message_id: id }) => id)).size).toBe(1_200)
    expect(new Set(receipts.map(({ reason }) => reason))).toEqual(new Set(['revoked']))
    expect(await refusalOf(url, people.bob)).toMatchObject({ code: 4005 })
  })

  test('makes the recipients of its topics anew: what was sealed for them before is stale', async () => {
    const { mesh, people, admin, bob, carol } = await openMesh()
    for (const member of [bob, carol]) await member.request('topics.subscribe', { topic: 'news' })
    const before = await admin.request('topics.recipients', { topic: 'news' })
    expect(before.members).toEqual([people.bob.memberId, people.carol.memberId].toSorted())
    await admin.request('revocations.put', mesh.revoke(revocationOf(people.bob)))
    await carol.next('event', ({ items }) => items.some((item) => item.kind === 'topic' && item.topic === 'news'))
    const to = { kind: 'topic', ref: 'news' } as const
    const stale = await admin.postOne(message({ to, recipientsEpoch: before.recipients_epoch }))
    const after = await admin.request('topics.recipients', { topic: 'news' })
    expect(stale).toMatchObject({ status: 409, code: 'recipients_stale', recipients_epoch: after.recipients_epoch })
    expect(after.members).toEqual([people.carol.memberId])
    const sealedAnew = await admin.postOne(message({ to, recipientsEpoch: after.recipients_epoch }))
    expect(sealedAnew).toMatchObject({ status: 201, recipient_count: 1 })
  })

  test('survives a restart of the broker', async () => {
    const { mesh, people, admin, broker } = await openMesh()
    const put = mesh.revoke(revocationOf(people.bob))
    await admin.request('revocations.put', put)
    await broker.close()
    const { url } = await startBroker({ data: broker.data })
    expect(await refusalOf(url, people.bob)).toMatchObject({ code: 4005 })
    const again = await RawMember.connect(url, people.carol)
    expect(await again.request('revocations.get', {})).toEqual(put)
  })

  test('of a member that never came keeps it out too', async () => {
    const { url, mesh, admin } = await openMesh()
    const dan = mesh.join('dan')
    await admin.request('revocations.put', mesh.revoke(revocationOf(dan)))
    expect(await refusalOf(url, dan)).toMatchObject({ code: 4005, reason: { kind: 'member_revoked' } })
  })

  test('of an invite keeps whom it had let in, and is 4001 to everybody else', async () => {
    const { url, mesh, admin } = await openMesh()
    const inviteId = '01JD8Z6K3V0000000000000000'
    const token = mesh.invite({ uses: 5, inviteId })
    const early = mesh.join('early', token)
    const member = await RawMember.connect(url, early)
    // Two instants of the same clock that are not the same.
    const at = Date.now() + 1
    await admin.request('revocations.put', mesh.revoke({ invites: [{ invite_id: inviteId, at }] }, { now: at }))
    expect(await refusalOf(url, mesh.join('late', token))).toMatchObject({
      code: 4001,
      reason: { kind: 'invite_revoked' },
    })
    await member.settled()
    await member.close()
    await (await RawMember.connect(url, early)).settled()
  })

  test('by the root key reaches the founder', async () => {
    const { mesh, people, admin, carol } = await openMesh()
    const { founder } = mesh
    const put = mesh.revoke({ members: [{ member_id: founder.memberId, at: Date.now() }] }, { issuer: null })
    // Who hands the list in does not matter.
    await carol.request('revocations.put', put)
    expect(await admin.closing()).toMatchObject({ code: 4005 })
    expect(people.alice.memberId).toBe(founder.memberId)
  })
})

describe('a revocation list', () => {
  test('that is handed in again is answered as the first time, and told to nobody again', async () => {
    const { mesh, people, admin, carol } = await openMesh()
    const put = mesh.revoke(revocationOf(people.bob))
    const asked = [await admin.request('revocations.put', put), await admin.request('revocations.put', put)]
    expect(asked).toEqual([{ number: 1 }, { number: 1 }])
    await carol.settled()
    const told = carol.pending('event').flatMap(({ items }) => items.filter(({ kind }) => kind === 'revocations'))
    expect(told).toHaveLength(1)
  })

  test('is none where nothing was revoked', async () => {
    const { carol } = await openMesh()
    expect(await carol.request('revocations.get', {})).toEqual({ list: null, chain: [] })
  })

  const refused: readonly {
    readonly what: string
    readonly make: (mesh: RawMesh, people: People) => ReturnType<RawMesh['revoke']>
    readonly answer: object
  }[] = [
    {
      what: 'of a member that is no admin',
      make: (mesh, { bob, carol }) => {
        const { list } = mesh.revoke(revocationOf(carol))
        return { list: { ...list, issuer_key: bob.keys.signing.publicKey }, chain: [...bob.chain] }
      },
      answer: { status: 403, code: 'not_admin' },
    },
    {
      what: 'with another signature',
      make: (mesh, { bob }) => {
        const { list, chain } = mesh.revoke(revocationOf(bob))
        return { list: { ...list, signature: 'A'.repeat(86) }, chain }
      },
      answer: { status: 400, code: 'invalid_request' },
    },
    {
      what: 'to which an entry was added',
      make: (mesh, { bob, carol }) => {
        const { list, chain } = mesh.revoke(revocationOf(bob))
        const more = mesh.revoke({ members: [bob, carol].flatMap((each) => revocationOf(each).members) })
        return { list: { ...list, revoked_members: more.list.revoked_members }, chain }
      },
      answer: { status: 400, code: 'invalid_request' },
    },
    {
      what: 'of another mesh',
      make: (_, { bob }) => new RawMesh().revoke(revocationOf(bob)),
      answer: { status: 400, code: 'invalid_request' },
    },
    {
      what: 'of an admin of another mesh, under the id of this one',
      make: (mesh, { bob }) => new RawMesh({ meshId: mesh.mesh.mesh_id }).revoke(revocationOf(bob)),
      answer: { status: 403, code: 'not_admin' },
    },
    {
      what: 'signed with a key that the admin has replaced',
      make: (mesh, { bob, olga }) => mesh.revoke(revocationOf(bob), { issuer: olga }),
      answer: { status: 403, code: 'not_admin' },
    },
    {
      what: 'of an admin that was never here',
      make: (mesh, { bob, nora }) => mesh.revoke(revocationOf(bob), { issuer: nora }),
      answer: { status: 403, code: 'not_admin' },
    },
  ]
  for (const { what, make, answer } of refused) {
    test(`${what} is refused and changes nothing`, async () => {
      const { url, mesh, people, bob, carol } = await openMesh()
      await (await RawMember.connect(url, people.olga)).close()
      await (await RawMember.connect(url, mesh.rotate(people.olga))).close()
      expect(await carol.call('revocations.put', make(mesh, people))).toMatchObject(answer)
      expect(await carol.request('revocations.get', {})).toEqual({ list: null, chain: [] })
      await bob.settled()
    })
  }

  test('has to contain the one in force: a second one made at the same time is stale', async () => {
    const { mesh, people, admin, carol } = await openMesh()
    const inForce = mesh.revoke(revocationOf(people.bob))
    const meanwhile = mesh.revoke(revocationOf(people.carol))
    await admin.request('revocations.put', inForce)
    expect(await admin.call('revocations.put', meanwhile)).toMatchObject({ status: 409, code: 'revocation_list_stale' })
    const previous: RevocationList = { ...inForce.list, revoked_members: [] }
    const withdrawn = mesh.revoke(revocationOf(people.carol), { previous })
    expect(await admin.call('revocations.put', withdrawn)).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(await carol.request('revocations.get', {})).toEqual(inForce)
    const merged = mesh.revoke(revocationOf(people.carol), { previous: inForce.list })
    expect(await admin.request('revocations.put', merged)).toEqual({ number: 2 })
    expect(await carol.closing()).toMatchObject({ code: 4005 })
  })
})

test('a message under way when its sender is revoked is stored before that, or refused', async () => {
  const { mesh, people, admin, bob, carol } = await openMesh()
  const items = Array.from({ length: 200 }, () => message({ to: { kind: 'dm', ref: people.carol.memberId } }))
  for (const item of items) bob.send({ type: 'send', items: [item] })
  await admin.request('revocations.put', mesh.revoke(revocationOf(people.bob)))
  await bob.closing()
  const { messages } = await carol.request('history.page', { since: 0, limit: 256 })
  const known = new Set(messages.map(({ client_message_id: id }) => id))
  const accepted = items.map(({ client_message_id: id }) => known.has(id))
  // Once one was refused, all that came after it were.
  expect(accepted).toEqual(accepted.toSorted((left, right) => Number(right) - Number(left)))
  const answered = bob.pending('send_results').flatMap((frame) => frame.items)
  for (const { client_message_id: id, status } of answered) expect(known.has(id)).toBe(status === 201)
})

interface People {
  readonly alice: MemberIdentity
  readonly bob: MemberIdentity
  readonly carol: MemberIdentity
  /** Admins: one is not connected, one was never seen. */
  readonly olga: MemberIdentity
  readonly nora: MemberIdentity
}

/** A mesh whose founder, an admin, and two members are connected. */
async function openMesh(overrides: Parameters<typeof startBroker>[0] = {}) {
  const broker = await startBroker(overrides)
  const { url } = broker
  const mesh = new RawMesh()
  const people: People = {
    alice: mesh.founder,
    bob: mesh.join('bob'),
    carol: mesh.join('carol'),
    olga: mesh.join('olga', mesh.invite({ role: 'admin' })),
    nora: mesh.join('nora', mesh.invite({ role: 'admin' })),
  }
  const admin = await RawMember.connect(url, people.alice)
  const bob = await RawMember.connect(url, people.bob)
  const carol = await RawMember.connect(url, people.carol)
  return { broker, url, mesh, people, admin, bob, carol }
}

function revocationOf({ memberId }: MemberIdentity) {
  return { members: [{ member_id: memberId, at: Date.now() - 1_000 }] }
}

async function refusalOf(url: string, identity: MemberIdentity) {
  const member = RawMember.dial(url)
  const { nonce } = await member.next('challenge')
  member.send(makeHello({ url, nonce, identity }))
  return member.closing()
}
