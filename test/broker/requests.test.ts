/** The correlated calls and the events that follow from them (04 §4). */
import { verifyChain } from '@claudemesh/identity'
import { describe, expect, test } from 'vitest'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember, textOf } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'

describe('topics', () => {
  test('are made by their first subscriber, listed, and left', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const a = await RawMember.connect(url, mesh.founder)
    const b = await RawMember.connect(url, mesh.join('bob'))
    const { topic } = await b.request('topics.subscribe', { topic: 'news' })
    expect(topic).toMatchObject({ name: 'news', subscribers: 1, subscribed: true })
    const told = await a.next('event', (frame) => frame.items.some((item) => item.kind === 'topic'))
    expect(told.items).toContainEqual({ kind: 'topic', topic: 'news', subscribers: 1 })
    expect((await a.request('topics.list', { limit: 10 })).topics).toMatchObject([
      { name: 'news', subscribers: 1, subscribed: false },
    ])
    await a.request('topics.subscribe', { topic: 'news' })
    await b.request('topics.unsubscribe', { topic: 'news' })
    await a.postOne(message({ to: { kind: 'topic', ref: 'news' } }))
    await b.settled()
    expect(b.pending('deliver')).toEqual([])
  })

  test('deliver to every subscriber but the sender', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const members = await Promise.all(
      [mesh.founder, mesh.join('b'), mesh.join('c')].map((identity) => RawMember.connect(url, identity)),
    )
    for (const member of members) await member.request('topics.subscribe', { topic: 'news' })
    const [a, b, c] = members
    expect(await a?.postOne(message({ to: { kind: 'topic', ref: 'news' }, text: 'hear' }))).toMatchObject({
      status: 201,
      recipient_count: 2,
    })
    for (const reader of [b, c]) expect((await reader?.deliveries(1))?.map(textOf)).toEqual(['hear'])
    await a?.settled()
    expect(a?.pending('deliver')).toEqual([])
  })

  test('say whom a message to them reaches, besides whoever asks', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const bob = mesh.join('bob')
    const a = await RawMember.connect(url, mesh.founder)
    const b = await RawMember.connect(url, bob)
    for (const member of [a, b]) await member.request('topics.subscribe', { topic: 'news' })
    const asked = await a.request('topics.recipients', { topic: 'news' })
    expect(asked.members).toEqual([bob.memberId])
    expect((await b.request('topics.recipients', { topic: 'news' })).members).toEqual([mesh.founder.memberId])
    const to = { kind: 'topic', ref: 'news' } as const
    const { recipients_epoch: recipientsEpoch } = asked
    expect(await a.postOne(message({ to, recipientsEpoch }))).toMatchObject({ status: 201, recipient_count: 1 })
    await b.request('topics.unsubscribe', { topic: 'news' })
    expect(await a.postOne(message({ to, recipientsEpoch }))).toMatchObject({ status: 409, code: 'recipients_stale' })
    expect((await a.request('topics.recipients', { topic: 'news' })).members).toEqual([])
  })

  test('with more subscribers than a message can be sealed for say so', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const a = await RawMember.connect(url, mesh.founder)
    const token = mesh.invite({ uses: 600 })
    const join = async (count: number) => {
      for (let n = 0; n < count; n += 1) {
        const member = await RawMember.connect(url, mesh.join('subscriber', token))
        await member.request('topics.subscribe', { topic: 'crowd' })
        await member.close()
      }
    }
    await join(512)
    expect((await a.request('topics.recipients', { topic: 'crowd' })).members).toHaveLength(512)
    await join(1)
    expect(await a.call('topics.recipients', { topic: 'crowd' })).toMatchObject({
      status: 422,
      code: 'too_many_recipients',
    })
  }, 60_000)

  test('are paged', async () => {
    const { url } = await startBroker()
    const a = await RawMember.connect(url, new RawMesh().founder)
    for (const topic of ['c', 'a', 'b']) await a.request('topics.subscribe', { topic })
    const first = await a.request('topics.list', { limit: 2 })
    expect([first.topics.map((topic) => topic.name), first.next]).toEqual([['a', 'b'], 'b'])
    const second = await a.request('topics.list', { limit: 2, after: 'b' })
    expect([second.topics.map((topic) => topic.name), second.next]).toEqual([['c'], null])
  })
})

describe('members', () => {
  test('are listed page by page with chains that anybody can verify', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const identities = [mesh.founder, ...['b', 'c', 'd', 'e'].map((name) => mesh.join(name))]
    for (const identity of identities) await (await RawMember.connect(url, identity)).close()
    const a = await RawMember.connect(url, mesh.founder)
    const found: string[] = []
    for (let after: string | null = ''; after !== null; ) {
      const page: {
        members: { member_id: string; chain: Parameters<typeof verifyChain>[0]['chain'] }[]
        next: string | null
      } = await a.request('members.list', after === '' ? { limit: 2 } : { limit: 2, after })
      for (const member of page.members) {
        expect(verifyChain({ mesh: mesh.mesh, chain: member.chain, now: Date.now() })).toMatchObject({ ok: true })
        found.push(member.member_id)
      }
      after = page.next
    }
    expect(found).toEqual(identities.map((identity) => identity.memberId).toSorted())
  })

  test('that are new are announced to those who are there', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const a = await RawMember.connect(url, mesh.founder)
    const bob = mesh.join('bob')
    await RawMember.connect(url, bob)
    const { items } = await a.next('event', (frame) => frame.items.some((item) => item.kind === 'member'))
    expect(items).toMatchObject([{ kind: 'member', member: { member_id: bob.memberId, status: 'active' } }])
  })

  test('show the profile that they set, and nothing of their presence when they hide', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const bob = mesh.join('bob')
    const a = await RawMember.connect(url, mesh.founder)
    const b = await RawMember.connect(url, bob)
    const seen = async () => {
      const { members } = await a.request('members.list', { limit: 10 })
      return members.find((member) => member.member_id === bob.memberId)
    }
    await b.request('profile.set', { summary: 'reviews code', activity: 'reading', visible: true })
    expect(await seen()).toMatchObject({ online: true, summary: 'reviews code', activity: 'reading' })
    await b.request('profile.set', { summary: null, activity: null, visible: false })
    expect(await seen()).toMatchObject({ online: false, last_seen_at: null, summary: null })
  })
})

describe('presence', () => {
  test('tells arrivals and departures, and a reconnect within the grace time makes no noise', async () => {
    const { url } = await startBroker({ presenceGraceMs: 250 })
    const mesh = new RawMesh()
    const bob = mesh.join('bob')
    const a = await RawMember.connect(url, mesh.founder)
    const about = async () => {
      const frame = await a.next('event', ({ items }) =>
        items.some((item) => item.kind === 'presence' && item.member_id === bob.memberId),
      )
      return frame.items[0]
    }
    const first = await RawMember.connect(url, bob)
    expect(await about()).toMatchObject({ online: true })
    await first.close()
    const second = await RawMember.connect(url, bob)
    await second.close()
    // The next word about him is that he is gone: nothing was said of the reconnect.
    expect(await about()).toMatchObject({ online: false })
  })

  test('survives a restart of the broker without noise', async () => {
    const first = await startBroker()
    const mesh = new RawMesh()
    const bob = mesh.join('bob')
    await RawMember.connect(first.url, bob)
    const a = await RawMember.connect(first.url, mesh.founder)
    await a.settled()
    await first.close()
    const second = await startBroker({ data: first.data })
    const b = await RawMember.connect(second.url, mesh.founder)
    const { members } = await b.request('members.list', { limit: 10 })
    expect(members.find((member) => member.member_id === bob.memberId)).toMatchObject({ online: true })
    await RawMember.connect(second.url, bob)
    await b.settled()
    expect(b.pending('event').flatMap((frame) => frame.items)).toEqual([])
  })
})

describe('history', () => {
  test('gives a member what was addressed to it, page by page, delivered or not', async () => {
    const { url } = await startBroker()
    const mesh = new RawMesh()
    const bob = mesh.join('bob')
    const a = await RawMember.connect(url, mesh.founder)
    const b = await RawMember.connect(url, bob)
    await b.request('topics.subscribe', { topic: 'news' })
    const items = Array.from({ length: 9 }, (_, n) =>
      message({
        to:
          n % 3 === 0
            ? { kind: 'topic', ref: 'news' }
            : { kind: 'dm', ref: n % 3 === 1 ? bob.memberId : mesh.founder.memberId },
        text: `${n}`,
      }),
    )
    await a.post(items)
    b.acknowledge((await b.deliveries(6)).slice(0, 3))
    const found: string[] = []
    for (let after: string | null = '0'; after !== null; ) {
      const page: { messages: { sealed: string }[]; next: string | null } = await b.request('history.page', {
        after,
        since: 0,
        limit: 4,
      })
      found.push(...page.messages.map(textOf))
      after = page.next
    }
    expect(found).toEqual(['0', '1', '3', '4', '6', '7'])
  })

  test('answers large messages in pages that fit into a frame', async () => {
    const { url } = await startBroker()
    const { founder } = new RawMesh()
    const a = await RawMember.connect(url, founder)
    const sealed = Buffer.alloc(60_000)
    for (let n = 0; n < 3; n += 1) {
      const items = Array.from({ length: 10 }, () => message({ to: { kind: 'dm', ref: founder.memberId }, sealed }))
      await a.post(items)
    }
    let pages = 0
    let count = 0
    for (let after: string | null = '0'; after !== null; pages += 1) {
      const page: { messages: unknown[]; next: string | null } = await a.request('history.page', {
        after,
        since: 0,
        limit: 256,
      })
      expect(JSON.stringify(page).length).toBeLessThan(1024 * 1024)
      count += page.messages.length
      after = page.next
    }
    expect(count).toBe(30)
    expect(pages).toBeGreaterThan(2)
  })
})

test('an operation that is unknown or ill-called is answered with its code', async () => {
  const { url } = await startBroker()
  const a = await RawMember.connect(url, new RawMesh().founder)
  const rows = [
    { op: 'rm -rf', params: {}, answer: { status: 404, code: 'not_found' } },
    { op: 'members.list', params: {}, answer: { status: 400, code: 'invalid_request' } },
    { op: 'members.list', params: { limit: 257 }, answer: { status: 400, code: 'invalid_request' } },
    { op: 'topics.subscribe', params: { topic: 'No Such' }, answer: { status: 400, code: 'invalid_request' } },
    { op: 'topics.unsubscribe', params: { topic: 'nowhere' }, answer: { status: 404, code: 'topic_unknown' } },
    { op: 'topics.recipients', params: { topic: 'nowhere' }, answer: { status: 404, code: 'topic_unknown' } },
    { op: 'revocations.put', params: { list: null, chain: [] }, answer: { status: 400, code: 'invalid_request' } },
    { op: 'history.page', params: { since: -1, limit: 1 }, answer: { status: 400, code: 'invalid_request' } },
    { op: '__proto__', params: {}, answer: { status: 404, code: 'not_found' } },
  ]
  for (const { op, params, answer } of rows) expect(await a.call(op, params), op).toMatchObject(answer)
})
