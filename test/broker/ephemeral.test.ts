/** Members that are there for as long as their process, at the broker (05 §5). */
import { describe, expect, test } from 'vitest'
import { type Runtime, systemRuntime } from '../../apps/broker/src/runtime.ts'
import { eventually } from '../support/eventually.ts'
import { type RawBroker, startBroker } from '../support/raw-broker.ts'
import { message, RawMember, textOf } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'

const ttlMs = 60_000
const dayMs = 86_400_000

describe('a member that leaves', () => {
  test('is answered, then its connections end, and the others hear of it', async () => {
    const { admin, guest, people } = await openMesh()
    await guest.request('topics.subscribe', { topic: 'news' })
    const { recipients_epoch: before } = await admin.request('topics.recipients', { topic: 'news' })
    await admin.postOne(message({ to: { kind: 'dm', ref: people.guest.memberId } }))
    expect(await guest.request('members.leave', {})).toEqual({})
    expect(await guest.closing()).toMatchObject({ code: 1000 })
    const told = await admin.next('event', ({ items }) =>
      items.some((item) => item.kind === 'member' && item.member.status === 'left'),
    )
    expect(told.items).toMatchObject([{ member: { member_id: people.guest.memberId, online: false } }])
    expect(await admin.receipts(1)).toMatchObject([{ state: 'undeliverable', reason: 'left' }])
    const { members } = await admin.request('members.list', { limit: 10 })
    expect(members.map(({ member_id: id }) => id)).toEqual([people.admin.memberId])
    const after = await admin.request('topics.recipients', { topic: 'news' })
    expect(after).toEqual({ recipients_epoch: before + 1, members: [] })
    expect(await admin.postOne(message({ to: { kind: 'dm', ref: people.guest.memberId } }))).toMatchObject({
      status: 404,
      code: 'recipient_unknown',
    })
  })

  test('has every send answered that came before', async () => {
    const { admin, guest, people } = await openMesh()
    const items = Array.from({ length: 300 }, (_, n) =>
      message({ to: { kind: 'dm', ref: people.admin.memberId }, text: `${n}` }),
    )
    for (const item of items) guest.send({ type: 'send', items: [item] })
    await guest.call('members.leave', {})
    await guest.closing()
    const results = guest.pending('send_results').flatMap((frame) => frame.items)
    expect(results.map(({ client_message_id: id }) => id).toSorted()).toEqual(
      items.map(({ client_message_id: id }) => id).toSorted(),
    )
    const accepted = results.filter(({ status }) => status === 201)
    expect(await admin.deliveries(accepted.length)).toHaveLength(accepted.length)
  })

  test('can be verified as long as messages of it are kept', async () => {
    const { admin, guest, people } = await openMesh()
    await guest.postOne(message({ to: { kind: 'dm', ref: people.admin.memberId }, text: 'build failed' }))
    await guest.request('members.leave', {})
    expect((await admin.deliveries(1)).map(textOf)).toEqual(['build failed'])
    const { members } = await admin.request('members.list', { limit: 10 })
    expect(members.find(({ member_id: id }) => id === people.guest.memberId)).toMatchObject({
      status: 'left',
      chain: people.guest.chain,
    })
  })

  test('joins again by saying hello', async () => {
    const { url, admin, guest, people } = await openMesh()
    await guest.request('members.leave', {})
    await guest.closing()
    const back = await RawMember.connect(url, people.guest)
    await admin.next('event', ({ items }) =>
      items.some((item) => item.kind === 'member' && item.member.status === 'active'),
    )
    await admin.postOne(message({ to: { kind: 'dm', ref: people.guest.memberId }, text: 'again' }))
    expect((await back.deliveries(1)).map(textOf)).toEqual(['again'])
  })
})

describe('an ephemeral member', () => {
  test('is removed when it has been away for longer than its lease, and not before', async () => {
    const { broker, admin, guest, people, pass, leasesAreJudged } = await openMesh({ guestTtlMs: ttlMs })
    await guest.request('topics.subscribe', { topic: 'news' })
    await goAway(broker, guest)
    await admin.postOne(message({ to: { kind: 'dm', ref: people.guest.memberId } }))
    await pass(ttlMs - 10_000)
    await leasesAreJudged()
    expect(await statusOf(admin, people.guest.memberId)).toBe('active')
    await pass(10_000)
    expect(await admin.receipts(1)).toMatchObject([{ recipient: people.guest.memberId, reason: 'left' }])
    expect(await statusOf(admin, people.guest.memberId)).toBeNull()
    expect((await admin.request('topics.recipients', { topic: 'news' })).members).toEqual([])
  })

  test('stays while it is connected, and its lease begins when it goes', async () => {
    const { broker, admin, guest, people, pass, leasesAreJudged } = await openMesh({ guestTtlMs: ttlMs })
    await pass(3 * ttlMs)
    await leasesAreJudged()
    expect(await statusOf(admin, people.guest.memberId)).toBe('active')
    await goAway(broker, guest)
    await pass(ttlMs - 10_000)
    await leasesAreJudged()
    expect(await statusOf(admin, people.guest.memberId)).toBe('active')
    await pass(10_000)
    await leasesAreJudged()
    expect(await statusOf(admin, people.guest.memberId)).toBeNull()
  })

  test('is back in its place when it comes again in time', async () => {
    const { broker, url, admin, guest, people, pass, leasesAreJudged } = await openMesh({ guestTtlMs: ttlMs })
    await goAway(broker, guest)
    await pass(40_000)
    const again = await RawMember.connect(url, people.guest, { ephemeralTtlMs: ttlMs })
    await goAway(broker, again)
    await pass(40_000)
    await leasesAreJudged()
    expect(await statusOf(admin, people.guest.memberId)).toBe('active')
  })

  test('has its whole lease to come back after the broker was away', async () => {
    const first = await openMesh({ guestTtlMs: ttlMs })
    await first.broker.close()
    first.clock.advance(10 * ttlMs)
    const { admin, people, pass, leasesAreJudged } = await first.again()
    await pass(ttlMs - 10_000)
    await leasesAreJudged()
    expect(await statusOf(admin, people.guest.memberId)).toBe('active')
    await pass(10_000)
    await leasesAreJudged()
    expect(await statusOf(admin, people.guest.memberId)).toBeNull()
  })

  test('that left is forgotten when ids of that time are', async () => {
    const { broker, clock, guest } = await openMesh({ guestTtlMs: ttlMs })
    await guest.request('members.leave', {})
    await guest.closing()
    await broker.close()
    clock.advance(101 * dayMs)
    const next = await startBroker({ data: broker.data, jobIntervalMs: 10 }, clock)
    await eventually('it is forgotten', async () => {
      const metrics = await (await fetch(`${next.httpUrl}/metrics`)).text()
      return /^cm_broker_expired_rows_total\{job="forgetting"\} 1$/m.test(metrics)
    })
  })

  test('is one no longer when it says hello without a lease', async () => {
    const { broker, url, admin, guest, people, pass, leasesAreJudged } = await openMesh({ guestTtlMs: ttlMs })
    await goAway(broker, guest)
    await goAway(broker, await RawMember.connect(url, people.guest))
    await pass(2 * ttlMs)
    await leasesAreJudged()
    expect(await statusOf(admin, people.guest.memberId)).toBe('active')
  })
})

/** An admin and a guest, both connected, at a broker whose clock the test moves on and whose jobs run all the time. */
async function openMesh({ guestTtlMs }: { readonly guestTtlMs?: number } = {}) {
  const clock = steppingRuntime()
  const mesh = new RawMesh()
  const people = { admin: mesh.founder, guest: mesh.join('guest') }
  const broker = await startBroker({ jobIntervalMs: 10 }, clock)
  const attended = await attend({ broker, clock, mesh })
  const guest = await RawMember.connect(
    broker.url,
    people.guest,
    guestTtlMs === undefined ? {} : { ephemeralTtlMs: guestTtlMs },
  )
  return {
    ...attended,
    ...{ broker, clock, people, guest },
    pass: (ms: number) => attended.pass(ms, guest),
    /** The same mesh at the next process of the broker; the guest does not come back by itself. */
    again: async () => {
      const next = await startBroker({ data: broker.data, jobIntervalMs: 10 }, clock)
      return { people, ...(await attend({ broker: next, clock, mesh })) }
    },
  }
}

/** The admin's view of a broker. */
async function attend(options: {
  readonly broker: RawBroker
  readonly clock: ReturnType<typeof steppingRuntime>
  readonly mesh: RawMesh
}) {
  const { broker, clock, mesh } = options
  const { url } = broker
  const admin = await RawMember.connect(url, mesh.founder)
  /** Lets time pass, in steps in which nobody who is connected falls silent. */
  const pass = async (ms: number, ...others: readonly RawMember[]) => {
    for (let left = ms; left > 0; left -= 10_000) {
      clock.advance(Math.min(left, 10_000))
      const open = [admin, ...others].filter((member) => !member.isClosed)
      await Promise.all(open.map((member) => member.settled()))
    }
  }
  return {
    url,
    admin,
    pass,
    /** Leases are judged in the order in which they end: when the one of a newcomer was, all before it were. */
    leasesAreJudged: async () => {
      const newcomer = mesh.join('newcomer')
      await goAway(broker, await RawMember.connect(url, newcomer, { ephemeralTtlMs: 1_000 }))
      await pass(1_001)
      await eventually('its lease is over', async () => (await statusOf(admin, newcomer.memberId)) === null)
    },
  }
}

/** Closes a connection. When this returns, the broker knows, and the lease has begun. */
async function goAway(broker: RawBroker, member: RawMember): Promise<void> {
  const connections = async () => {
    const metrics = await (await fetch(`${broker.httpUrl}/metrics`)).text()
    return Number(/^cm_broker_connections\{state="open"\} (\d+)$/m.exec(metrics)?.[1])
  }
  const before = await connections()
  await member.close()
  await eventually('the broker knows', async () => (await connections()) < before)
}

async function statusOf(member: RawMember, memberId: string): Promise<string | null> {
  const { members } = await member.request('members.list', { limit: 10 })
  return members.find(({ member_id: id }) => id === memberId)?.status ?? null
}

/** The clocks of this machine, which a test moves on. */
function steppingRuntime(): Runtime & { advance(ms: number): void } {
  const runtime = systemRuntime()
  let offset = 0
  return {
    now: () => runtime.now() + offset,
    monotonicMs: () => runtime.monotonicMs() + offset,
    nextId: () => runtime.nextId(),
    advance: (ms) => {
      offset += ms
    },
  }
}
