import { join } from 'node:path'
import { mergeRevocations, signRevocationList } from '@claudemesh/identity'
import { MeshError, type TopicRecord } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { recordOf, type TestMember, TestMembership } from '../../../../test/support/member-records.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { silentLog } from '../../../../test/support/silent-log.ts'
import { unknownMemberPauseMs } from '../limits.ts'
import { Members } from '../members/members.ts'
import type { SignedRevocations } from '../members/revocations.ts'
import { Directory, type DirectoryOptions } from './directory.ts'

/** What a broker knows, answered in pages of 2; `asked` is what it was asked, in order. */
class Broker {
  readonly members: TestMember[] = []
  readonly subscribed = new Set<string>()
  readonly topics = new Set<string>()
  readonly asked: string[] = []
  unreachable = false
  revocations: SignedRevocations | null = null

  readonly request = (async (op: string, params: { after?: string; topic?: string } & Partial<SignedRevocations>) => {
    this.asked.push(params.topic === undefined ? op : `${op} ${params.topic}`)
    if (this.unreachable) throw new MeshError('broker_unavailable')
    const { after = '', topic = '' } = params
    if (op === 'revocations.get') return this.revocations ?? { list: null, chain: [] }
    if (op === 'revocations.put') {
      const { list, chain } = params
      if (list !== undefined && chain !== undefined) this.revocations = { list, chain }
      return { number: list?.number }
    }
    if (op === 'members.list') {
      const sorted = this.members.toSorted((left, right) => (left.memberId < right.memberId ? -1 : 1))
      const rest = sorted.filter((member) => member.memberId > after)
      const page = rest.slice(0, 2)
      return { members: page.map((member) => recordOf(member)), next: rest.length > 2 ? page.at(-1)?.memberId : null }
    }
    if (op === 'topics.list') {
      const rest = [...this.topics].sort().filter((name) => name > after)
      return { topics: rest.slice(0, 2).map((name) => this.#topic(name)), next: rest.length > 2 ? rest[1] : null }
    }
    if (op === 'topics.subscribe') {
      this.topics.add(topic)
      this.subscribed.add(topic)
    }
    if (op === 'topics.unsubscribe') this.subscribed.delete(topic)
    return op === 'profile.set' ? {} : { topic: this.#topic(topic) }
  }) as unknown as DirectoryOptions['request']

  #topic(name: string): TopicRecord {
    return { name, subscribed: this.subscribed.has(name), subscribers: 1, created_at: 1 }
  }
}

const options = { monotonicMs: () => 0, onKeysLearnt: () => undefined, log: silentLog() }

function directory() {
  const runtime = new ManualRuntime()
  const membership = new TestMembership({ now: runtime.time })
  const me = membership.join('me')
  const members = Members.open({
    path: join(scratchDirectory(), 'members.db'),
    runtime,
    mesh: { meshId: membership.mesh.mesh_id, rootKey: membership.mesh.root_key },
    selfId: me.memberId,
  })
  const broker = new Broker()
  broker.members.push(me)
  return {
    runtime,
    broker,
    membership,
    members,
    directory: new Directory({ ...options, members, request: broker.request, monotonicMs: runtime.monotonicMs }),
  }
}

describe('refreshing', () => {
  test('reads all pages of members and topics', async () => {
    const { broker, membership, members, directory: subject } = directory()
    for (const name of ['bob', 'carol', 'dave', 'eve']) broker.members.push(membership.join(name))
    for (const name of ['builds', 'chat', 'news']) broker.topics.add(name)
    await subject.refresh()
    expect(members.peers().map((peer) => peer.name)).toEqual(['bob', 'carol', 'dave', 'eve', 'me'])
    expect(members.topics().map((topic) => topic.name)).toEqual(['builds', 'chat', 'news'])
    members.close()
  })

  test('that breaks off changes nothing', async () => {
    const { broker, membership, members, directory: subject } = directory()
    broker.members.push(membership.join('bob'))
    await subject.refresh()
    broker.members.length = 0
    broker.unreachable = true
    await expect(subject.refresh()).rejects.toThrow(expect.objectContaining({ code: 'broker_unavailable' }))
    expect(members.peers()).toHaveLength(2)
    members.close()
  })

  test('does not follow pages that lead back', async () => {
    const { members } = directory()
    const pages = { members: [], next: 'a'.repeat(64), list: null, chain: [] }
    const request = (async () => pages) as unknown as DirectoryOptions['request']
    const subject = new Directory({ ...options, members, request })
    await expect(subject.refresh()).rejects.toThrow(expect.objectContaining({ code: 'invalid_frame' }))
    members.close()
  })
})

describe('reconciling', () => {
  test('asks for what is wanted and not confirmed, once, and tells the profile', async () => {
    const { broker, members, directory: subject } = directory()
    members.setWanted('builds', true)
    members.setProfile({ summary: 'reviews', status: null, visible: true })
    await subject.reconcile()
    await subject.reconcile()
    expect(broker.asked).toEqual(['topics.subscribe builds', 'profile.set'])
    subject.linkClosed()
    await subject.reconcile()
    expect(broker.asked).toEqual(['topics.subscribe builds', 'profile.set', 'profile.set'])
    members.setWanted('builds', false)
    await subject.reconcile()
    expect([...broker.subscribed]).toEqual([])
    expect(members.unreconciled()).toEqual([])
    members.close()
  })

  test('keeps the wish when the broker is away, and carries it out at the next connection', async () => {
    const { broker, members, directory: subject } = directory()
    broker.unreachable = true
    members.setWanted('builds', true)
    await expect(subject.reconcile()).rejects.toThrow(expect.objectContaining({ code: 'broker_unavailable' }))
    await subject.linkOpened()
    expect(members.unreconciled()).toHaveLength(1)
    broker.unreachable = false
    await subject.linkOpened()
    expect([...broker.subscribed]).toEqual(['builds'])
    members.close()
  })

  test('subscribes again at a broker that has forgotten, before anything else is asked in the same turn', async () => {
    const { broker, members, directory: subject } = directory()
    members.setWanted('builds', true)
    await subject.linkOpened()
    members.setWanted('chat', true)
    broker.subscribed.clear()
    broker.topics.clear()
    broker.asked.length = 0
    const opened = subject.linkOpened()
    expect(broker.asked).toEqual(['topics.subscribe chat'])
    await opened
    expect([...broker.subscribed].sort()).toEqual(['builds', 'chat'])
    members.close()
  })

  test('gets through more wishes than are asked for at once', async () => {
    const { broker, members, directory: subject } = directory()
    for (let n = 0; n < 150; n += 1) members.setWanted(`topic-${n}`, true)
    await subject.reconcile()
    expect(broker.subscribed.size).toBe(150)
    members.close()
  })

  test('a refusal of one topic does not keep the others from being asked for', async () => {
    const { broker, members } = directory()
    const request = (async (op: string, params: { topic?: string }) => {
      if (params.topic === 'closed') throw new MeshError('not_admin')
      return broker.request(op as 'topics.subscribe', params as { topic: string })
    }) as DirectoryOptions['request']
    const subject = new Directory({ ...options, members, request })
    members.setWanted('closed', true)
    members.setWanted('open', true)
    await expect(subject.reconcile()).rejects.toThrow(expect.objectContaining({ code: 'not_admin' }))
    expect(members.unreconciled()).toEqual([{ topic: 'closed', wanted: true }])
    members.close()
  })
})

describe('events of the broker', () => {
  test('say who came and who went, once each', async () => {
    const { broker, membership, members, directory: subject } = directory()
    const bob = membership.join('bob')
    broker.members.push(bob)
    await subject.refresh()
    const presence = (online: boolean) => ({ kind: 'presence' as const, member_id: bob.memberId, online, at: 1 })
    const change = { memberId: bob.memberId, name: 'bob' }
    expect(subject.applyEvents([presence(true), presence(true)])).toEqual([{ type: 'peer_join', ...change }])
    expect(subject.applyEvents([presence(false)])).toEqual([{ type: 'peer_leave', ...change }])
    const self = members.peers().find((peer) => peer.self)?.member_id ?? ''
    expect(subject.applyEvents([{ ...presence(true), member_id: self }, presence(true)])).toHaveLength(1)
    subject.linkClosed()
    expect(members.findById(bob.memberId)?.online).toBe(false)
    members.close()
  })

  test('bring members and topics that are new', () => {
    const { membership, members, directory: subject } = directory()
    const bob = membership.join('bob')
    const changes = subject.applyEvents([
      { kind: 'member', member: recordOf(bob, { online: true }) },
      { kind: 'topic', topic: 'builds' },
    ])
    expect(changes).toEqual([{ type: 'peer_join', memberId: bob.memberId, name: 'bob' }])
    expect(members.findByName('bob')).toHaveLength(1)
    expect(members.findTopic('builds')).not.toBeNull()
    const subscribersOf = () => members.topics().find(({ name }) => name === 'builds')?.subscribers
    subject.applyEvents([{ kind: 'topic', topic: 'builds', subscribers: 3 }])
    expect(subscribersOf()).toBe(3)
    subject.applyEvents([{ kind: 'topic', topic: 'builds' }])
    expect(subscribersOf(), 'an event without a number takes none away').toBe(3)
    members.close()
  })

  test('about somebody who stays unknown make it look once a minute, and about another at once', async () => {
    const { runtime, broker, members, directory: subject } = directory()
    const looks = () => broker.asked.filter((op) => op === 'members.list').length
    const [stranger, another] = ['a'.repeat(64), 'b'.repeat(64)]
    const look = async (...memberIds: string[]) => {
      subject.lookForUnknown(memberIds)
      await new Promise(setImmediate)
    }
    for (let n = 0; n < 5; n += 1) await look(stranger)
    expect(looks()).toBe(1)
    await look(stranger, another)
    expect(looks()).toBe(2)
    runtime.advance(unknownMemberPauseMs)
    await look(stranger)
    expect(looks()).toBe(3)
    members.close()
  })

  test('about somebody unknown make it look', async () => {
    const { broker, membership, members, directory: subject } = directory()
    const bob = membership.join('bob')
    broker.members.push(bob)
    subject.applyEvents([{ kind: 'presence', member_id: bob.memberId, online: true, at: 1 }])
    expect(broker.asked).toEqual(['revocations.get'])
    await subject.refresh()
    expect(members.findByName('bob')).toHaveLength(1)
    members.close()
  })
})

describe('revocations', () => {
  function revoking() {
    const parts = directory()
    const { membership, runtime, broker } = parts
    const bob = membership.join('bob')
    broker.members.push(bob)
    const { mesh, founder } = membership
    const list = mergeRevocations({
      meshId: mesh.mesh_id,
      previous: null,
      changes: { members: [{ member_id: bob.memberId, at: runtime.time }] },
      now: runtime.time,
    })
    const issuer = { signing: founder.keys.signing, chain: founder.chain }
    const signed: SignedRevocations = { list: signRevocationList({ mesh, list, issuer }), chain: founder.chain }
    return { ...parts, bob, signed }
  }

  test('are fetched when the broker tells of them, and before the members who are judged by them', async () => {
    const { directory: subject, broker, members, bob, signed } = revoking()
    await subject.refresh()
    expect(members.findById(bob.memberId)?.status).toBe('active')
    broker.revocations = signed
    broker.asked.length = 0
    expect(subject.applyEvents([{ kind: 'revocations', number: 1 }])).toEqual([])
    await subject.refreshRevocations()
    expect(members.findById(bob.memberId)?.status).toBe('revoked')
    await subject.refresh()
    const before = broker.asked.slice(0, broker.asked.indexOf('members.list'))
    expect(new Set(before)).toEqual(new Set(['revocations.get']))
    members.close()
  })

  test('are handed to a broker that has none or older ones', async () => {
    const { directory: subject, broker, members, signed } = revoking()
    members.revocations.apply(signed)
    await subject.refreshRevocations()
    expect(broker.revocations).toEqual(signed)
    await subject.refreshRevocations()
    expect(broker.asked).toEqual(['revocations.get', 'revocations.put', 'revocations.get'])
    members.close()
  })

  test('that a broker does not know of keep nobody from reading the lists', async () => {
    const { directory: subject, broker, members } = revoking()
    const answer = broker.request
    const request = (async (op: 'members.list', params: never) => {
      if ((op as string) === 'revocations.get') throw new MeshError('invalid_frame', { detail: 'unknown operation' })
      return await answer(op, params)
    }) as DirectoryOptions['request']
    const older = new Directory({ ...options, members, request })
    await older.refresh()
    expect(members.peers().map(({ name }) => name)).toEqual(['bob', 'me'])
    await subject.refresh()
    members.close()
  })
})
