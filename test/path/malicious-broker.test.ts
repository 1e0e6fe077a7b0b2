/**
 * The daemon as it is shipped, against a broker that lies. It believes nothing that is not proven: in its inbox is what
 * honest senders sent, once, and what it sends can be read by those for whom it is.
 */
import {
  generateMemberKeys,
  generateSigningKeyPair,
  type MemberKeys,
  mergeRevocations,
  readMeshFile,
  rotateMember,
  type SigningKeyPair,
  signInviteCertificate,
  signMemberCertificate,
  signRevocationList,
} from '@claudemesh/identity'
import {
  type Certificate,
  type DeliveryItem,
  limits,
  meshFilePath,
  type PeersResponse,
  type RevocationList,
} from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { flipBit, partsOf } from '../support/altered-sealed.ts'
import { eventually } from '../support/eventually.ts'
import { MaliciousBroker, type Person, recordOf } from '../support/malicious-broker.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { seeded } from '../support/seed.ts'

const ignoredMembers = 'cm_daemon_members_ignored_total'
const ignoredLists = 'cm_daemon_revocation_lists_ignored_total'
const unopened = 'cm_daemon_messages_unopened_total'

describe('a broker that lies', () => {
  const random = seeded()
  /** What honest people sent to alice and the broker delivered, in order of the first delivery. */
  const honest: DeliveryItem[] = []
  const counts = { deliveries: 0, altered: 0, misattributed: 0, liesAboutMembers: 0, sealed: 0 }
  let broker: MaliciousBroker
  let alice: Person
  let bob: Person
  let carol: Person
  /** Somebody without a place in the mesh, in league with the broker. */
  let mallory: Person

  beforeAll(async () => {
    broker = await MaliciousBroker.start()
    ;[alice, bob, carol] = [broker.person('alice'), broker.person('bob'), broker.person('carol')]
    mallory = new RawMesh({ meshId: broker.meshId }).founder
  }, 120_000)
  afterAll(async () => {
    console.log(`seed ${random.seed}: ${JSON.stringify({ ...counts, honest: honest.length })}`)
    await broker.end()
  })

  async function deliver(...items: readonly DeliveryItem[]): Promise<string[]> {
    counts.deliveries += items.length
    return broker.deliver(items)
  }

  /** Delivers messages as they were sent. */
  async function deliverHonestly(...items: readonly DeliveryItem[]): Promise<void> {
    expect(await deliver(...items)).toEqual(items.map(() => 'stored'))
    honest.push(...items)
  }

  /** Sends as alice, and looks who can read what leaves her host. */
  async function expectReadableBy(to: string, id: string, readers: readonly Person[], others: readonly Person[]) {
    const answer = await broker.alice.send(
      { to, message: `to ${id}`, client_message_id: id },
      '?wait=20000&until=accepted',
    )
    expect(answer.json).toMatchObject({ state: 'accepted' })
    for (const item of await broker.transmissions(id)) {
      counts.sealed += 1
      expect(readers.map((reader) => broker.readAs(reader, item)?.endsWith(`to ${id}`))).toEqual(
        readers.map(() => true),
      )
      expect(others.map((other) => broker.readAs(other, item))).toEqual(others.map(() => null))
      // Nobody else either: there is one wrap for each reader, and one for alice.
      const wraps = partsOf(Buffer.from(item.sealed, 'base64')).filter(({ name }) => name.startsWith('wrapped key'))
      expect(wraps).toHaveLength(readers.length + 1)
    }
  }

  /** Tells of a member in both ways that there are, and waits until neither was believed. */
  async function expectIgnored(memberId: string, chain: readonly Certificate[]): Promise<void> {
    counts.liesAboutMembers += 1
    const record = recordOf({ memberId, chain })
    const before = await broker.metric(ignoredMembers)
    broker.tell({ kind: 'member', member: record })
    await eventually('the event was looked at', async () => (await broker.metric(ignoredMembers)) > before)
    const truth = broker.members
    broker.members = [...truth.filter((member) => member.member_id !== memberId), record]
    await broker.reconnect()
    await eventually('the list was looked at', async () => (await broker.metric(ignoredMembers)) > before + 1)
    broker.members = truth
  }

  /** A certificate that puts keys under the id of a member, signed by whoever can be found. */
  function certify(of: Person, keys: MemberKeys, issuer: SigningKeyPair, epoch = 0): Certificate {
    const name = of.chain[0]?.kind === 'member' ? of.chain[0].name : 'dave'
    return signMemberCertificate({
      meshId: broker.meshId,
      memberId: of.memberId,
      name,
      role: 'member',
      keys,
      epoch,
      notBefore: Date.now() - 1_000,
      notAfter: null,
      issuer,
    })
  }

  test('is believed where it tells the truth', async () => {
    await deliverHonestly(broker.message(bob, 'from bob'), broker.message(carol, 'from carol'))
    await expectReadableBy(bob.memberId, 'to-bob', [bob], [carol, mallory])
  })

  test('about the keys of a member does not get a message sealed for them, nor one of theirs believed', async () => {
    const [own, ...above] = bob.chain
    if (own?.kind !== 'member') throw new Error('a chain begins with a member')
    const { keys } = mallory
    const lies: Readonly<Record<string, readonly Certificate[]>> = {
      'another box key in the certificate': [{ ...own, box_key: keys.box.publicKey }, ...above],
      'both keys in the certificate': [
        { ...own, signing_key: keys.signing.publicKey, box_key: keys.box.publicKey },
        ...above,
      ],
      'the chain of somebody else': carol.chain,
      'the chain of a stranger': mallory.chain,
      'a certificate of a stranger': [certify(bob, keys, keys.signing), ...mallory.chain],
      'a certificate of a member in league': [certify(bob, keys, carol.keys.signing), ...carol.chain],
      'a rotation that a stranger signed': [certify(bob, keys, keys.signing, 1), ...bob.chain],
      'a rotation that a member in league signed': [certify(bob, keys, carol.keys.signing, 1), ...bob.chain],
      'a self-made root': [certify(bob, keys, generateSigningKeyPair())],
    }
    for (const [name, chain] of Object.entries(lies)) {
      await expectIgnored(bob.memberId, chain)
      await expectReadableBy(bob.memberId, `keys-${counts.liesAboutMembers}`, [bob], [mallory, carol])
      for (const epoch of [0, 1]) {
        const before = await broker.metric(unopened)
        const forged = broker.message({ ...bob, keys }, `forged: ${name}`, { epoch })
        expect(await deliver(forged), name).toEqual(['undecryptable'])
        expect(await broker.metric(unopened)).toBe(before + 1)
      }
    }
    await deliverHonestly(broker.message(bob, 'bob himself'))
  }, 120_000)

  test('about who is a member does not get anybody in', async () => {
    const invite = generateSigningKeyPair()
    const term = { notBefore: Date.now() - 1_000, notAfter: Date.now() + 3_600_000 }
    const invitation = {
      meshId: broker.meshId,
      inviteId: '01JXXXXXXXXXXXXXXXXXXXXXXX',
      inviteKey: invite.publicKey,
      role: 'member',
      uses: 1,
      ...term,
    } as const
    const elsewhere = new RawMesh()
    const dave = { memberId: mallory.memberId, keys: mallory.keys, chain: [] }
    const lies: Readonly<Record<string, Person>> = {
      'a member of a mesh of the same id': mallory,
      'a member of another mesh': elsewhere.join('dave'),
      'the founder of another mesh': elsewhere.founder,
      'one that certified itself': { ...dave, chain: [certify(dave, dave.keys, dave.keys.signing)] },
      'one that a member let in': { ...dave, chain: [certify(dave, dave.keys, bob.keys.signing), ...bob.chain] },
      'one that a member invited': {
        ...dave,
        chain: [
          certify(dave, dave.keys, invite),
          signInviteCertificate({ ...invitation, issuer: bob.keys.signing }),
          ...bob.chain,
        ],
      },
    }
    for (const [name, stranger] of Object.entries(lies)) {
      await expectIgnored(stranger.memberId, stranger.chain)
      const answer = await broker.alice.send({
        to: stranger.memberId,
        message: name,
        client_message_id: `in-${name.replaceAll(' ', '-')}`,
      })
      expect(answer, name).toMatchObject({ status: 404, json: { code: 'recipient_unknown' } })
      expect(await deliver(broker.message(stranger, `believed: ${name}`)), name).toEqual(['undecryptable'])
    }
    const peers = (await broker.alice.request({ method: 'GET', path: '/v1/peers' })).text
    for (const { memberId } of Object.values(lies)) expect(peers).not.toContain(memberId)
    expect(broker.sent.filter((item) => item.client_message_id.startsWith('in-'))).toEqual([])
  }, 120_000)

  test('reorders, drops and repeats: each message that comes is there once', async () => {
    const messages = Array.from({ length: 60 }, (_, n) => broker.message(random.pick([bob, carol]), `message ${n}`))
    const shuffled = messages
      .filter(() => random.next() > 0.2)
      .map((item) => ({ item, at: random.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item)
    const [once, ...rest] = shuffled.flatMap((item) => [item, ...(random.next() > 0.5 ? [broker.again(item)] : [])])
    if (once === undefined) throw new Error('everything was dropped')
    const outcomes = await deliver(once, ...rest, ...shuffled.map((item) => broker.again(item)))
    expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(shuffled.length)
    expect(new Set(outcomes)).toEqual(new Set(['stored', 'duplicate']))
    honest.push(...shuffled)
    expect(await broker.metric('cm_daemon_inbox_messages')).toBe((await broker.alice.inbox()).length)
  }, 60_000)

  test('alters bits: none is opened, and the message as it was sent takes the place of what was altered', async () => {
    for (const part of partsOf(Buffer.from(broker.message(bob, 'a message').sealed, 'base64')).keys()) {
      const item = broker.message(bob, `altered in part ${part}`)
      const sealed = Buffer.from(item.sealed, 'base64')
      const parts = partsOf(sealed)
      const altered = Array.from({ length: 4 }, () => {
        const at = parts[part] ?? { name: 'version', start: 0, end: 1 }
        return { ...broker.again(item), sealed: flipBit(sealed, at, random.next).toString('base64') }
      })
      counts.altered += altered.length
      const before = await broker.metric(unopened)
      expect(await deliver(...altered)).toEqual(altered.map(() => 'undecryptable'))
      expect(await broker.metric(unopened)).toBe(before + 1)
      await deliverHonestly(item)
      expect(await deliver(...altered.map((one) => broker.again(one)))).toEqual(altered.map(() => 'duplicate'))
    }
  }, 60_000)

  test('says something else of a message than its sender did: it is not believed', async () => {
    const dm = broker.message(bob, 'a secret between two')
    const reply = broker.message(bob, 'no', { reply_to: dm.broker_message_id })
    const post = broker.message(bob, 'to all', { destination: { kind: 'topic', ref: 'changes' } })
    const ofCarol = broker.message(carol, 'by carol')
    // Sealed for alice too, as the recipient of nothing: what she sends herself names her as the sender.
    const ofAlice = broker.message(alice, 'by alice', {
      recipients: [bob],
      destination: { kind: 'dm', ref: bob.memberId },
    })
    await deliverHonestly(dm, reply, post, ofCarol)
    const lies: Readonly<Record<string, DeliveryItem>> = {
      'another sender': { ...dm, sender: carol.memberId },
      'the recipient as the sender': { ...dm, sender: alice.memberId },
      'her own message as an answer of its recipient': {
        ...ofAlice,
        sender: bob.memberId,
        destination: dm.destination,
      },
      'a new id': { ...dm, client_message_id: 'replayed' },
      'a new id and a topic': { ...dm, client_message_id: 'replayed-1', destination: post.destination },
      'another topic': { ...post, client_message_id: 'replayed-2', destination: { kind: 'topic', ref: 'private' } },
      'a dm out of a post': { ...post, client_message_id: 'replayed-3', destination: dm.destination },
      'an answer to something else': { ...reply, client_message_id: 'replayed-4', reply_to: post.broker_message_id },
      'no answer any more': { ...reply, client_message_id: 'replayed-5', reply_to: null },
      'another priority': { ...dm, client_message_id: 'replayed-6', priority: 'now' },
      'the content of another message': { ...dm, client_message_id: 'replayed-7', sealed: reply.sealed },
      'the content of another sender': { ...dm, client_message_id: 'replayed-8', sealed: ofCarol.sealed },
    }
    for (const [name, lie] of Object.entries(lies)) {
      counts.misattributed += 1
      const before = await broker.metric(unopened)
      expect(await deliver(broker.again(lie)), name).toEqual(['undecryptable'])
      expect(await broker.metric(unopened), name).toBe(before + 1)
    }
    // Under the id of a message that is there nothing else can take its place.
    for (const lie of [
      { ...dm, sealed: reply.sealed },
      { ...dm, reply_to: post.broker_message_id },
    ]) {
      expect(await deliver(broker.again(lie))).toEqual(['duplicate'])
    }
    expect(
      await deliver({ ...broker.message(carol, 'under the id of another'), broker_message_id: dm.broker_message_id }),
    ).toEqual(['rejected'])
  }, 60_000)

  test('names recipients of a topic: nothing is sealed for whom it cannot prove, however often it names others', async () => {
    const strangers = [mallory, new RawMesh().founder]
    const named = [bob, carol, ...strangers].map(({ memberId }) => memberId)
    broker.recipients.set('plans', { recipients_epoch: 1, members: named })
    broker.members = [...broker.members, ...strangers.map(recordOf)]
    await broker.reconnect()
    await expectReadableBy('#plans', 'plan-1', [bob, carol], strangers)
    broker.recipients.set('plans', {
      recipients_epoch: 7,
      members: [...strangers.map((one) => one.memberId), bob.memberId],
    })
    broker.stale.set('plan-2', 7)
    const sent = await broker.alice.send(
      { to: '#plans', message: 'again', client_message_id: 'plan-2' },
      '?wait=20000&until=accepted',
    )
    expect(sent.json).toMatchObject({ state: 'accepted' })
    const [first, second] = await broker.transmissions('plan-2', 2)
    if (first === undefined || second === undefined) throw new Error('it was sent twice')
    expect([first, second].map((item) => item.recipients_epoch)).toEqual([1, 7])
    for (const stranger of strangers)
      expect([first, second].map((item) => broker.readAs(stranger, item))).toEqual([null, null])
    expect([first, second].map((item) => broker.readAs(carol, item) !== null)).toEqual([true, false])
    counts.sealed += 2
    broker.members = broker.members.filter(({ member_id: id }) => strangers.every(({ memberId }) => memberId !== id))
  }, 60_000)

  test('goes back to the keys of before a rotation: messages are sealed for the new ones', async () => {
    const before = bob
    const keys = generateMemberKeys()
    const chain = rotateMember({ chain: bob.chain, keys: bob.keys, newKeys: keys, now: Date.now() })
    bob = { ...bob, keys, chain }
    broker.members = broker.members.map((member) => (member.member_id === bob.memberId ? recordOf(bob) : member))
    await broker.reconnect()
    await expectReadableBy(bob.memberId, 'rotated', [bob], [before])
    await expectIgnored(bob.memberId, before.chain)
    const other = generateMemberKeys()
    await expectIgnored(bob.memberId, [certify(bob, other, before.keys.signing, 1), ...before.chain])
    await expectReadableBy(bob.memberId, 'rolled-back', [bob], [before, { ...bob, keys: other }])
    await deliverHonestly(broker.message(bob, 'with new keys', { epoch: 1 }))
    expect(await deliver(broker.message({ ...bob, keys: before.keys }, 'with old keys', { epoch: 1 }))).toEqual([
      'undecryptable',
    ])
  }, 60_000)

  test('shows an older list of the revoked, or one that no admin signed: nobody comes back, and nobody goes', async () => {
    const { mesh } = readMeshFile(meshFilePath(broker.alice.home, 'test'))
    const revoke = (
      memberId: string,
      previous: RevocationList | null,
      issuer: { signing: SigningKeyPair; chain: readonly Certificate[] },
      rootKey = mesh.root_key,
    ) => {
      const changes = { members: [{ member_id: memberId, at: Date.now(), reason: 'gone' }] }
      const list = mergeRevocations({ meshId: mesh.mesh_id, previous, changes, now: Date.now() })
      return { list: signRevocationList({ mesh: { root_key: rootKey }, list, issuer }), chain: [...issuer.chain] }
    }
    const admin = { signing: alice.keys.signing, chain: alice.chain }
    const older = revoke(mallory.memberId, null, admin)
    const newest = revoke(carol.memberId, older.list, admin)
    let attempts = 0
    const refused = async () => {
      attempts += 1
      const client_message_id = `to-the-revoked-${attempts}`
      const answer = await broker.alice.send({ to: carol.memberId, message: 'to carol', client_message_id })
      return answer.status >= 400 && (answer.json as { code?: string }).code === 'member_revoked'
    }
    const isListedAsRevoked = async () => {
      const { peers } = (await broker.alice.request({ method: 'GET', path: '/v1/peers' })).json as PeersResponse
      return peers.some((peer) => peer.member_id === carol.memberId && peer.status === 'revoked')
    }
    broker.revocations = newest
    broker.tell({ kind: 'revocations', number: newest.list.number })
    await eventually('carol is revoked', isListedAsRevoked)
    expect(await refused()).toBe(true)

    // The broker goes on listing her as active.
    const show = async (shown: typeof broker.revocations) => {
      broker.revocations = shown
      await broker.reconnect()
    }
    for (const shown of [older, { list: null, chain: [] }]) {
      await show(shown)
      const handedIn = await eventually('the newest list is handed in', () =>
        broker.requests.filter(({ op }) => op === 'revocations.put').at(-1),
      )
      expect(handedIn.params).toMatchObject({ list: { number: newest.list.number, signature: newest.list.signature } })
      expect(await refused()).toBe(true)
    }

    const { keys } = mallory
    const rootOfMallory = mallory.chain.at(-1)?.issuer_key ?? ''
    const taken = revoke(bob.memberId, newest.list, admin)
    const forged: readonly (typeof broker.revocations)[] = [
      revoke(bob.memberId, newest.list, { signing: keys.signing, chain: mallory.chain }, rootOfMallory),
      revoke(bob.memberId, newest.list, { signing: keys.signing, chain: [] }, keys.signing.publicKey),
      { list: { ...taken.list, signature: newest.list.signature }, chain: taken.chain },
      { list: { ...newest.list, number: 9, revoked_members: taken.list.revoked_members }, chain: newest.chain },
      { ...revoke(bob.memberId, null, admin), list: { ...revoke(bob.memberId, null, admin).list, number: 9 } },
      { list: taken.list, chain: [...carol.chain] },
    ]
    for (const [n, shown] of forged.entries()) {
      const before = await broker.metric(ignoredLists)
      await show(shown)
      await eventually(`list ${n} is counted`, async () => (await broker.metric(ignoredLists)) > before)
      await expectReadableBy(bob.memberId, `after-list-${n}`, [bob], [carol, mallory])
      expect(await refused()).toBe(true)
    }
    expect(broker.sent.filter((item) => item.client_message_id.startsWith('to-the-revoked'))).toEqual([])
    broker.revocations = newest
  }, 60_000)

  test('has not got anything into the inbox but what honest people sent, once', async () => {
    await expectHonestInbox()
  })

  test('gives back a history of lies: a lost inbox is filled with what honest people sent, which nothing replaces', async () => {
    await broker.alice.kill()
    broker.loseInbox()
    const altered = honest.map((item) => {
      const sealed = Buffer.from(item.sealed, 'base64')
      const part = random.pick(partsOf(sealed) as [ReturnType<typeof partsOf>[number]])
      return { ...item, sealed: flipBit(sealed, part, random.next).toString('base64') }
    })
    const lies = honest.map((item) => ({
      ...broker.again(item),
      client_message_id: `history-${item.client_message_id}`,
    }))
    broker.history = [...altered.slice(0, 10), ...honest, ...honest.map((item) => broker.again(item)), ...lies].slice(
      0,
      limits.itemsPerFrameMax,
    )
    await broker.alice.start()
    await broker.accept()
    await eventually(
      'the history is there',
      async () =>
        (await broker.alice.health())?.inbox.messages ===
        new Set(broker.history.map((item) => item.client_message_id)).size,
    )
    await expectHonestInbox()
    counts.altered += altered.length
    expect(await deliver(...altered.map((item) => ({ ...item, delivery_id: `${item.delivery_id}-altered` })))).toEqual(
      altered.map(() => 'duplicate'),
    )
    await expectHonestInbox()
  }, 60_000)

  async function expectHonestInbox(): Promise<void> {
    const inbox = await broker.alice.inbox()
    const opened = inbox.filter((message) => message.opened)
    const idsOf = (of: readonly { readonly sender: string; readonly client_message_id: string }[]) =>
      of.map((one) => `${one.sender} ${one.client_message_id}`).sort()
    expect(idsOf(opened)).toEqual(idsOf(honest))
    expect(new Set(idsOf(inbox)).size).toBe(inbox.length)
    for (const message of inbox) {
      if (!message.opened) expect(message).toMatchObject({ message: null, meta: null })
    }
    for (const item of honest) {
      const found = opened.find((one) => one.client_message_id === item.client_message_id)
      expect(found).toMatchObject({
        destination_kind: item.destination.kind,
        destination_ref: item.destination.ref,
        reply_to_id: item.reply_to,
      })
    }
  }
})
