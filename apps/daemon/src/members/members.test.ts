import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateMemberKeys, rotateMember, signMemberCertificate } from '@claudemesh/identity'
import type { Destination, MemberRecord, TopicRecord } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { recordOf, type TestMember, TestMembership } from '../../../../test/support/member-records.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { goneKeysKeptMs } from '../limits.ts'
import { Members } from './members.ts'

function openMembers() {
  const runtime = new ManualRuntime()
  const membership = new TestMembership({ now: runtime.time })
  const me = membership.join('me')
  const path = join(scratchDirectory(), 'members.db')
  const mesh = { meshId: membership.mesh.mesh_id, rootKey: membership.mesh.root_key }
  const open = () => Members.open({ path, runtime, mesh, selfId: me.memberId })
  return { runtime, membership, me, path, open, members: open() }
}

/** The member after one rotation of its keys. */
function rotatedOf(member: TestMember, now: number): TestMember {
  const newKeys = generateMemberKeys()
  return { ...member, keys: newKeys, chain: rotateMember({ chain: member.chain, keys: member.keys, newKeys, now }) }
}

const topicOf = (name: string, subscribed: boolean, subscribers = 1): TopicRecord => {
  return { name, subscribed, subscribers, created_at: 1 }
}

describe('the directory', () => {
  test('lists members whose chain leads to the root key, with the name that the chain proves', () => {
    const { members, membership, me, runtime } = openMembers()
    const bob = membership.join('bob')
    expect(members.syncedAt()).toBeNull()
    applyAll(members, [recordOf(me), recordOf(bob, { online: true, last_seen_at: 5, summary: 'builds' })])
    expect(members.findById(bob.memberId)).toEqual({
      memberId: bob.memberId,
      name: 'bob',
      role: 'member',
      signingKey: bob.keys.signing.publicKey,
      boxKey: bob.keys.box.publicKey,
      epoch: 0,
      status: 'active',
      online: true,
      lastSeenAt: 5,
      summary: 'builds',
      activity: null,
    })
    expect(members.findByName('bob').map((member) => member.memberId)).toEqual([bob.memberId])
    expect(members.peers().map((peer) => [peer.name, peer.self, peer.online])).toEqual([
      ['bob', false, true],
      ['me', true, false],
    ])
    expect(members.syncedAt()).toBe(runtime.time)
    members.close()
  })

  test('ignores and counts what it cannot verify, and keeps the others', () => {
    const { members, membership, me, runtime } = openMembers()
    const stranger = new TestMembership({ now: runtime.time }).join('bob')
    const bob = membership.join('bob')
    const renamed = recordOf(bob, { chain: bob.chain.map((c) => (c.kind === 'member' ? { ...c, name: 'root' } : c)) })
    const impostor = recordOf(bob, { member_id: membership.founder.memberId })
    applyAll(members, [recordOf(me), recordOf(stranger), renamed, impostor])
    expect(members.peers().map((peer) => peer.name)).toEqual(['me'])
    expect(Object.fromEntries(members.ignored())).toEqual({
      not_rooted: 1,
      signature_invalid: 1,
      member_id_mismatch: 1,
    })
    members.close()
  })

  test('finds several members of one name', () => {
    const { members, membership } = openMembers()
    const both = [membership.join('bob'), membership.join('bob')]
    members.applyDirectory(both.map((bob) => recordOf(bob)))
    expect(members.findByName('bob')).toHaveLength(2)
    members.close()
  })

  test('says of a name what is true after the latest change of a member', () => {
    const { members, membership, me } = openMembers()
    const [one, other] = [membership.join('bob'), membership.join('bob')]
    const found = () => members.findByName('bob').map(({ status }) => status)
    expect(found()).toEqual([])
    members.applyDirectory([recordOf(one)])
    expect(found()).toEqual(['active'])
    members.applyDirectory([recordOf(other, { status: 'revoked' })])
    expect(found().toSorted()).toEqual(['active', 'revoked'])
    applyAll(members, [recordOf(me), recordOf(one)])
    expect(found()).toEqual(['active'])
    members.close()
  })

  test('removes who is no longer on a complete list, and nobody for a part of one', () => {
    const { members, membership, me } = openMembers()
    const bob = membership.join('bob')
    applyAll(members, [recordOf(me), recordOf(bob)])
    members.applyDirectory([recordOf(me)])
    expect(members.findByName('bob')).toHaveLength(1)
    applyAll(members, [recordOf(me)])
    expect(members.findByName('bob')).toEqual([])
    members.close()
  })

  test('never goes back to older keys, and never takes other keys of the same epoch', () => {
    const { members, membership, runtime } = openMembers()
    const bob = membership.join('bob')
    const rotate = (epoch: number) => {
      const keys = generateMemberKeys()
      const certificate = signMemberCertificate({
        meshId: membership.mesh.mesh_id,
        memberId: bob.memberId,
        name: 'bob',
        role: 'member',
        keys,
        epoch,
        notBefore: runtime.time,
        notAfter: null,
        issuer: bob.keys.signing,
      })
      return recordOf({ ...bob, chain: [certificate, ...bob.chain] })
    }
    const [first, rival] = [rotate(1), rotate(1)]
    applyAll(members, [recordOf(bob)])
    applyAll(members, [first])
    const rotated = members.findById(bob.memberId)
    expect(rotated).toMatchObject({ epoch: 1 })
    applyAll(members, [recordOf(bob)])
    applyAll(members, [rival])
    expect(members.findById(bob.memberId)).toMatchObject({ epoch: 1, signingKey: rotated?.signingKey })
    expect(Object.fromEntries(members.ignored())).toEqual({ epoch_rolled_back: 1, keys_replaced: 1 })
    members.close()
  })

  test('never takes keys that its own did not sign, at however high an epoch', () => {
    const { members, membership, runtime } = openMembers()
    const bob = membership.join('bob')
    const rotated = rotatedOf(bob, runtime.time)
    const rival = rotatedOf(bob, runtime.time)
    // With the box key of the true one, so that it is told by what signs.
    const [genuine] = rotated.chain
    const disguised = {
      ...bob,
      keys: rival.keys,
      chain: [
        signMemberCertificate({
          meshId: membership.mesh.mesh_id,
          memberId: bob.memberId,
          name: 'bob',
          role: 'member',
          keys: { signing: rival.keys.signing, box: rotated.keys.box },
          epoch: 1,
          notBefore: genuine?.not_before ?? 0,
          notAfter: null,
          issuer: bob.keys.signing,
        }),
        ...bob.chain,
      ],
    }
    const forks = [
      rotatedOf(rival, runtime.time),
      rotatedOf({ ...disguised, keys: { signing: rival.keys.signing, box: rotated.keys.box } }, runtime.time),
    ]
    applyAll(members, [recordOf(rotated)])
    for (const fork of forks) {
      applyAll(members, [recordOf(fork)])
      expect(members.findById(bob.memberId)).toMatchObject({ epoch: 1, boxKey: rotated.keys.box.publicKey })
      // Nor after the broker said that the member had gone.
      applyAll(members, [])
      applyAll(members, [recordOf(fork)])
      expect(members.findById(bob.memberId)).toBeNull()
      applyAll(members, [recordOf(rotated)])
    }
    expect(Object.fromEntries(members.ignored())).toEqual({ keys_replaced: 4 })
    const next = rotatedOf(rotatedOf(rotated, runtime.time), runtime.time)
    applyAll(members, [recordOf(next)])
    expect(members.findById(bob.memberId)).toMatchObject({ epoch: 3 })
    members.close()
  })

  test('does not believe an older chain of a member who was gone in between', () => {
    const { members, membership, runtime } = openMembers()
    const bob = membership.join('bob')
    const rotated = rotatedOf(bob, runtime.time)
    applyAll(members, [recordOf(rotated)])
    applyAll(members, [])
    applyAll(members, [recordOf(bob)])
    expect(members.findById(bob.memberId)).toBeNull()
    expect(Object.fromEntries(members.ignored())).toEqual({ epoch_rolled_back: 1 })
    applyAll(members, [recordOf(rotated)])
    expect(members.findById(bob.memberId)).toMatchObject({ epoch: 1 })
    members.close()
  })

  test('forgets a member whose certificate has ended, although it was verified before', () => {
    const { members, membership, runtime } = openMembers()
    const keys = generateMemberKeys()
    const certificate = signMemberCertificate({
      meshId: membership.mesh.mesh_id,
      memberId: keys.signing.publicKey,
      name: 'guest',
      role: 'member',
      keys,
      epoch: 0,
      notBefore: runtime.time,
      notAfter: runtime.time + 1000,
      issuer: membership.founder.keys.signing,
    })
    const guest = {
      memberId: keys.signing.publicKey,
      name: 'guest',
      keys,
      chain: [certificate, ...membership.founder.chain],
    }
    applyAll(members, [recordOf(guest)])
    expect(members.findByName('guest')).toHaveLength(1)
    runtime.advance(1000)
    expect(members.findByName('guest')).toEqual([])
    expect(members.peers()).toEqual([])
    members.close()
  })

  test('verifies a chain once and believes it again after a start', () => {
    const { members, membership, open } = openMembers()
    const bob = membership.join('bob')
    applyAll(members, [recordOf(bob, { online: true, last_seen_at: 5 })])
    members.close()
    const again = open()
    expect(again.findByName('bob')).toMatchObject([{ online: false, lastSeenAt: 5 }])
    again.close()
  })

  test('of a damaged file is empty and is filled again', () => {
    const { members, membership, open, path } = openMembers()
    applyAll(members, [recordOf(membership.join('bob'))])
    members.close()
    writeFileSync(path, 'damaged'.repeat(1000))
    const again = open()
    expect(again.peers()).toEqual([])
    expect(again.syncedAt()).toBeNull()
    again.close()
  })
})

describe('box keys', () => {
  test('of every epoch in a verified chain are known, also after a start', () => {
    const { members, membership, runtime, open } = openMembers()
    const bob = membership.join('bob')
    const rotated = rotatedOf(bob, runtime.time)
    expect(applyAll(members, [recordOf(rotated)])).toEqual([bob.memberId])
    expect(applyAll(members, [recordOf(rotated)])).toEqual([])
    members.close()
    const again = open()
    expect([0, 1, 2].map((epoch) => again.boxKey(bob.memberId, epoch))).toEqual([
      bob.keys.box.publicKey,
      rotated.keys.box.publicKey,
      null,
    ])
    again.close()
  })

  test('that a rotation brings are told of', () => {
    const { members, membership, runtime } = openMembers()
    const bob = membership.join('bob')
    applyAll(members, [recordOf(bob)])
    expect(members.applyDirectory([recordOf(rotatedOf(bob, runtime.time))])).toEqual([bob.memberId])
    members.close()
  })

  test('of what cannot be verified are not', () => {
    const { members, runtime } = openMembers()
    const stranger = new TestMembership({ now: runtime.time }).join('bob')
    expect(applyAll(members, [recordOf(stranger)])).toEqual([])
    expect(members.boxKey(stranger.memberId, 0)).toBeNull()
    members.close()
  })

  const departures = [
    { name: 'left', records: (bob: TestMember) => [recordOf(bob, { status: 'left' })] },
    { name: 'is no longer listed', records: () => [] },
  ]
  for (const { name, records } of departures) {
    test(`of a member who ${name} open what it sent before, for a while`, () => {
      const { members, membership, runtime } = openMembers()
      const bob = membership.join('bob')
      applyAll(members, [recordOf(bob)])
      applyAll(members, records(bob))
      expect(members.findById(bob.memberId)).toBeNull()
      expect(members.peers()).toEqual([])
      expect(members.boxKey(bob.memberId, 0)).toBe(bob.keys.box.publicKey)
      runtime.advance(goneKeysKeptMs + 1)
      applyAll(members, [])
      expect(members.boxKey(bob.memberId, 0)).toBeNull()
      members.close()
    })
  }

  test('of a member who was gone and is back stay', () => {
    const { members, membership, runtime } = openMembers()
    const bob = membership.join('bob')
    for (const records of [[recordOf(bob)], [], [recordOf(bob)]]) applyAll(members, records)
    runtime.advance(goneKeysKeptMs + 1)
    applyAll(members, [recordOf(bob)])
    expect(members.boxKey(bob.memberId, 0)).toBe(bob.keys.box.publicKey)
    members.close()
  })

  test('of this member itself are taken from its own chain', () => {
    const { members, me, runtime } = openMembers()
    const rotated = rotatedOf(me, runtime.time)
    members.learnOwnKeys(rotated.chain)
    expect([0, 1].map((epoch) => members.boxKey(me.memberId, epoch))).toEqual([
      me.keys.box.publicKey,
      rotated.keys.box.publicKey,
    ])
    members.close()
  })
})

test('the recipients of a topic and of a queue are kept until they are dropped, across starts', () => {
  const { members, open } = openMembers()
  const recipients = { epoch: 7, memberIds: ['a', 'b'] }
  const topic: Destination = { kind: 'topic', ref: 'builds' }
  const queue: Destination = { kind: 'queue', ref: 'builds' }
  expect(members.recipientSets.find(topic)).toBeNull()
  members.recipientSets.save(topic, { epoch: 6, memberIds: [] })
  members.recipientSets.save(topic, recipients)
  expect(members.recipientSets.find(queue)).toBeNull()
  members.recipientSets.save(queue, { epoch: 2, memberIds: ['c'] })
  members.close()
  const again = open()
  expect(again.recipientSets.find(topic)).toEqual(recipients)
  again.recipientSets.drop(topic)
  expect(again.recipientSets.find(topic)).toBeNull()
  expect(again.recipientSets.find(queue)).toEqual({ epoch: 2, memberIds: ['c'] })
  again.close()
})

describe('presence', () => {
  test('is a change only when it changes, and nobody is online without a connection', () => {
    const { members, membership } = openMembers()
    const bob = membership.join('bob')
    const memberId = bob.memberId
    applyAll(members, [recordOf(bob)])
    expect(members.applyPresence({ memberId, online: true, at: 7 })).toMatchObject({ name: 'bob', online: true })
    expect(members.applyPresence({ memberId, online: true, at: 8 })).toBeNull()
    expect(members.applyPresence({ memberId: 'nobody', online: true, at: 8 })).toBeNull()
    members.forgetPresence()
    expect(members.findById(memberId)).toMatchObject({ online: false, lastSeenAt: 8 })
    members.close()
  })
})

describe('topics', () => {
  test('a wish stands until the broker confirms it, across starts', () => {
    const { members, open } = openMembers()
    members.setWanted('builds', true)
    members.close()
    const again = open()
    expect(again.unreconciled()).toEqual([{ topic: 'builds', wanted: true }])
    expect(again.findTopic('builds')).toEqual({ name: 'builds', wanted: true })
    expect(again.topics()).toEqual([{ name: 'builds', wanted: true, subscribed: false, subscribers: null }])
    again.applyTopics([topicOf('builds', true, 3)], false)
    expect(again.unreconciled()).toEqual([])
    expect(again.topics()).toEqual([{ name: 'builds', wanted: true, subscribed: true, subscribers: 3 }])
    again.setWanted('builds', false)
    expect(again.unreconciled()).toEqual([{ topic: 'builds', wanted: false }])
    again.close()
  })

  test('a subscription that the broker knows and this host has no wish about becomes its wish', () => {
    const { members } = openMembers()
    members.applyTopics([topicOf('builds', true), topicOf('chat', false)], true)
    expect(members.unreconciled()).toEqual([])
    expect(members.topics().map((topic) => [topic.name, topic.wanted])).toEqual([
      ['builds', true],
      ['chat', false],
    ])
    members.close()
  })

  test('a wish against it is not overruled by what the broker still has', () => {
    const { members } = openMembers()
    members.setWanted('builds', false)
    members.applyTopics([topicOf('builds', true)], true)
    expect(members.unreconciled()).toEqual([{ topic: 'builds', wanted: false }])
    members.close()
  })

  test('that the broker no longer has are gone, unless they are wanted', () => {
    const { members } = openMembers()
    members.setWanted('mine', true)
    members.applyTopics([topicOf('mine', true), topicOf('theirs', false)], true)
    members.applyTopics([], true)
    expect(members.topics().map((topic) => topic.name)).toEqual(['mine'])
    expect(members.unreconciled()).toEqual([{ topic: 'mine', wanted: true }])
    expect(members.findTopic('theirs')).toBeNull()
    members.close()
  })

  test('that somebody made are known at once, and similar names are hinted at', () => {
    const { members } = openMembers()
    members.noteTopic('builds', null)
    expect(members.findTopic('builds')).not.toBeNull()
    expect(members.nearTopics('build')).toEqual(['builds'])
    expect(members.unreconciled()).toEqual([])
    members.close()
  })
})

test('profile and agreement are kept across starts', () => {
  const { members, open } = openMembers()
  expect(members.storedProfile()).toBeNull()
  expect(members.profile()).toEqual({ summary: null, status: null, visible: true })
  members.setProfile({ summary: 'reviews', status: null, visible: false })
  members.saveNegotiated({ mode: 'retention_scoped', retentionDays: 30, inlineBytes: null })
  members.close()
  const again = open()
  expect(again.profile()).toEqual({ summary: 'reviews', status: null, visible: false })
  expect(again.negotiated()).toEqual({ mode: 'retention_scoped', retentionDays: 30, inlineBytes: null })
  again.close()
})

/** What the broker says of all members. */
function applyAll(members: Members, records: readonly MemberRecord[]): readonly string[] {
  const learnt = members.applyDirectory(records)
  members.keepOnly(records.map((record) => record.member_id))
  return learnt
}
