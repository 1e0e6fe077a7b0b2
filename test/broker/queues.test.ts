/** Work queues over real sockets: consumers that compete, die, give back and give up. */
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember, textOf } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { enqueue, jobs, settle, take, takeOne } from '../support/raw-work.ts'

async function openQueue(options: { readonly maxDeliveries?: number } = {}) {
  const { url, httpUrl } = await startBroker()
  const mesh = new RawMesh()
  const identities = { bob: mesh.join('bob'), carol: mesh.join('carol') }
  const alice = await RawMember.connect(url, mesh.founder)
  const bob = await RawMember.connect(url, identities.bob)
  const carol = await RawMember.connect(url, identities.carol)
  const { maxDeliveries } = options
  await bob.request('queues.consume', {
    queue: 'jobs',
    ...(maxDeliveries === undefined ? {} : { max_deliveries: maxDeliveries }),
  })
  await carol.request('queues.consume', { queue: 'jobs' })
  return { url, httpUrl, mesh, identities, alice, bob, carol }
}

describe('consumers', () => {
  test('of many messages each does its own, and every message is done once', async () => {
    const { url, mesh, alice, bob, carol } = await openQueue()
    const more = await Promise.all([1, 2].map((n) => RawMember.connect(url, mesh.join(`worker-${n}`))))
    for (const member of more) await member.request('queues.consume', { queue: 'jobs' })
    const count = 300
    const done: string[] = []
    const work = async (member: RawMember) => {
      while (done.length < count) {
        const items = await take(member, { limit: 5, wait_ms: 100 })
        if (items.length === 0) continue
        const outcomes = await settle(member, items)
        expect(outcomes).toEqual(items.map(() => 'done'))
        done.push(...items.map(textOf))
      }
    }
    const working = Promise.all([bob, carol, ...more].map(work))
    const texts = Array.from({ length: count }, (_, n) => `job ${n}`)
    for (let start = 0; start < count; start += 100) await enqueue(alice, texts.slice(start, start + 100))
    await working
    expect(done.toSorted()).toEqual(texts.toSorted())
    const receipts = await alice.receipts(count)
    expect(new Set(receipts.map((receipt) => receipt.broker_message_id)).size).toBe(count)
    expect(receipts.every((receipt) => receipt.state === 'delivered')).toBe(true)
  })

  test('are whom a message is sealed for, and without one it is not taken', async () => {
    const { url, mesh, identities, alice, bob, carol } = await openQueue()
    const { recipients_epoch: recipientsEpoch, members } = await alice.request('queues.recipients', { queue: 'jobs' })
    expect(members.toSorted()).toEqual([identities.bob.memberId, identities.carol.memberId].toSorted())
    expect(await alice.postOne(message({ to: jobs, recipientsEpoch }))).toMatchObject({
      status: 201,
      recipient_count: 1,
    })
    await carol.request('queues.leave', { queue: 'jobs' })
    const stale = { status: 409, code: 'recipients_stale', recipients_epoch: recipientsEpoch + 1 }
    expect(await alice.postOne(message({ to: jobs, recipientsEpoch }))).toMatchObject(stale)
    await bob.request('queues.leave', { queue: 'jobs' })
    const nobody = await alice.request('queues.recipients', { queue: 'jobs' })
    expect(nobody).toEqual({ recipients_epoch: recipientsEpoch + 2, members: [] })
    const now = message({ to: jobs, recipientsEpoch: nobody.recipients_epoch })
    expect(await alice.postOne(now)).toMatchObject({ status: 409, code: 'recipients_stale' })
    const elsewhere = message({ to: { kind: 'queue', ref: 'nowhere' } })
    expect(await alice.postOne(elsewhere)).toMatchObject({ status: 404, code: 'queue_unknown' })
    expect(await alice.call('queues.recipients', { queue: 'nowhere' })).toMatchObject({ code: 'queue_unknown' })
    expect(await alice.call('queues.leave', { queue: 'nowhere' })).toMatchObject({ code: 'queue_unknown' })
    const params = { queue: 'jobs', limit: 1, lease_ms: 1_000, wait_ms: 0 }
    expect(await alice.call('queues.take', params)).toMatchObject({ status: 409, code: 'queue_not_consumed' })
    await (await RawMember.connect(url, mesh.join('dan'))).request('queues.consume', { queue: 'mail' })
    expect(await alice.request('queues.list', { limit: 5 })).toMatchObject({
      queues: [
        { name: 'jobs', consumers: 0, consuming: false, waiting: 1, leased: 0, dead: 0, max_deliveries: 20 },
        { name: 'mail', consumers: 1 },
      ],
      next: null,
    })
  })

  test('that join later are not given what they cannot open', async () => {
    const { url, mesh, alice, bob } = await openQueue()
    await enqueue(alice, ['before'])
    const dan = await RawMember.connect(url, mesh.join('dan'))
    await dan.request('queues.consume', { queue: 'jobs' })
    expect(await take(dan)).toEqual([])
    await enqueue(alice, ['after'])
    expect(textOf(await takeOne(dan))).toBe('after')
    expect(textOf(await takeOne(bob))).toBe('before')
  })

  test('get what is urgent first', async () => {
    const { alice, bob } = await openQueue()
    await enqueue(alice, ['late'], { priority: 'low' })
    await enqueue(alice, ['soon'])
    await enqueue(alice, ['at once'], { priority: 'now' })
    const items = await take(bob, { limit: 3 })
    expect(items.map(textOf)).toEqual(['at once', 'soon', 'late'])
    expect(items[0]).toMatchObject({ destination: jobs, priority: 'now', deliveries: 1 })
  })
})

describe('a lease', () => {
  test('of a consumer that died ends, and another one has the message', async () => {
    const { alice, bob, carol } = await openQueue()
    await enqueue(alice, ['work'])
    const lost = await takeOne(bob, { lease_ms: 1_000 })
    bob.socket.terminate()
    const item = await takeOne(carol)
    expect(item).toMatchObject({ broker_message_id: lost.broker_message_id, deliveries: 2 })
    expect(item.lease_id).not.toBe(lost.lease_id)
  })

  test('that was lost settles nothing, and one that was not is settled again after a lost answer', async () => {
    const { url, identities, alice, bob, carol } = await openQueue()
    await enqueue(alice, ['work'])
    const before = await takeOne(bob, { lease_ms: 1_000 })
    const item = await takeOne(carol)
    expect(await settle(bob, [before])).toEqual(['lease_lost'])
    expect(await settle(bob, [before], { action: 'extend', lease_ms: 60_000 })).toEqual(['lease_lost'])
    expect(await settle(carol, [item])).toEqual(['done'])
    carol.socket.terminate()
    const again = await RawMember.connect(url, identities.carol)
    expect(await settle(again, [item])).toEqual(['done'])
    expect(await settle(bob, [before])).toEqual(['lease_lost'])
    expect((await alice.receipts(1)).map(({ recipient, state }) => [recipient, state])).toEqual([
      [identities.carol.memberId, 'delivered'],
    ])
  })

  test('can be undone as if it had not been taken, also when it was the last delivery', async () => {
    const { alice, bob, carol } = await openQueue({ maxDeliveries: 1 })
    await enqueue(alice, ['unseen'])
    const item = await takeOne(bob)
    await carol.request('queues.untake', { queue: 'jobs', lease_id: item.lease_id })
    expect(await take(carol)).toEqual([])
    // Somebody who waits gets it at once.
    const waiting = takeOne(carol)
    await bob.request('queues.untake', { queue: 'jobs', lease_id: item.lease_id })
    expect(await waiting).toMatchObject({ broker_message_id: item.broker_message_id, deliveries: 1 })
    expect(await settle(bob, [item])).toEqual(['lease_lost'])
  })

  test('can be extended, and its message returned with a delay', async () => {
    const { alice, bob, carol } = await openQueue()
    await enqueue(alice, ['work'])
    const item = await takeOne(bob, { lease_ms: 2_000 })
    const extension = { broker_message_id: item.broker_message_id, lease_id: item.lease_id }
    const { items } = await bob.request('queues.settle', {
      items: [{ ...extension, action: 'extend', lease_ms: 3_600_000 }],
    })
    expect(items).toMatchObject([{ outcome: 'extended', lease_until: expect.any(Number) }])
    expect(items[0]?.lease_until).toBeGreaterThan(item.lease_until)
    expect(await settle(bob, [item], { action: 'nack', delay_ms: 500, reason: 'not now' })).toEqual(['returned'])
    expect(await take(carol)).toEqual([])
    const again = await takeOne(carol)
    expect(again).toMatchObject({ broker_message_id: item.broker_message_id, deliveries: 2 })
  })
})

describe('a message that nobody does', () => {
  test('is dead in the end, its sender hears of it, and it can be requeued or dropped', async () => {
    const { httpUrl, identities, alice, bob, carol } = await openQueue({ maxDeliveries: 2 })
    const [hard, lost] = await enqueue(alice, ['hard', 'lost'])
    for (const [member, outcome] of [
      [bob, 'returned'],
      [carol, 'dead'],
    ] as const) {
      const item = await takeOne(member)
      expect(await settle(member, [item], { action: 'nack', reason: `exit of ${outcome}` })).toEqual([outcome])
    }
    await settle(bob, [await takeOne(bob)], { action: 'nack' })
    await takeOne(bob, { lease_ms: 1_000 })
    const receipts = await alice.receipts(2)
    expect(receipts).toMatchObject([
      {
        broker_message_id: hard,
        recipient: identities.carol.memberId,
        state: 'undeliverable',
        reason: 'max_deliveries',
      },
      { broker_message_id: lost, recipient: identities.bob.memberId, state: 'undeliverable', reason: 'max_deliveries' },
    ])
    const { items, next } = await carol.request('queues.dead', { queue: 'jobs', limit: 1 })
    expect(items).toMatchObject([{ broker_message_id: hard, deliveries: 2, reason: 'exit of dead' }])
    const rest = await carol.request('queues.dead', { queue: 'jobs', limit: 5, after: next ?? '0' })
    expect(rest).toMatchObject({ items: [{ broker_message_id: lost, reason: 'lease_over' }], next: null })
    const metrics = await (await fetch(`${httpUrl}/metrics`)).text()
    expect(metrics).toMatch(/cm_broker_queue_messages\{state="dead"\} 2\n/)
    expect(metrics).toMatch(/cm_broker_queue_settlements_total\{outcome="dead"\} 1\n/)
    const waiting = takeOne(bob)
    const ids = [hard ?? '', lost ?? '']
    expect(await carol.request('queues.requeue', { queue: 'jobs', broker_message_ids: ids.slice(0, 1) })).toEqual({
      requeued: 1,
    })
    expect(await waiting).toMatchObject({ broker_message_id: hard, deliveries: 1 })
    expect(await carol.request('queues.drop', { queue: 'jobs', broker_message_ids: ids })).toEqual({ dropped: 1 })
    expect(await carol.request('queues.dead', { queue: 'jobs', limit: 5 })).toEqual({ items: [], next: null })
    expect(await alice.call('queues.dead', { queue: 'jobs', limit: 5 })).toMatchObject({ code: 'queue_not_consumed' })
  })
})

describe('a take that waits', () => {
  test('holds up no other call of its connection, and is answered when work comes', async () => {
    const { alice, bob } = await openQueue()
    const waiting = Array.from({ length: 20 }, () => take(bob, { wait_ms: 30_000 }))
    await bob.settled()
    const texts = Array.from({ length: 20 }, (_, n) => `job ${n}`)
    await enqueue(alice, texts)
    const taken = (await Promise.all(waiting)).flat()
    expect(taken.map(textOf).toSorted()).toEqual(texts.toSorted())
    expect(await settle(bob, taken)).toEqual(texts.map(() => 'done'))
  })

  test('is refused where as many wait as may, and the connection goes on', async () => {
    const { alice, bob } = await openQueue()
    const waiting = Array.from({ length: 32 }, () => take(bob, { wait_ms: 30_000 }))
    const params = { queue: 'jobs', limit: 1, lease_ms: 60_000, wait_ms: 30_000 }
    expect(await bob.call('queues.take', params)).toMatchObject({ status: 429, code: 'rate_limited' })
    await enqueue(
      alice,
      waiting.map((_, n) => `job ${n}`),
    )
    expect((await Promise.all(waiting)).flat()).toHaveLength(32)
  })

  test('ends with nothing when its time is over', async () => {
    const { bob } = await openQueue()
    expect(await take(bob, { wait_ms: 300 })).toEqual([])
  })

  test('takes nothing for a connection that is gone', async () => {
    const { httpUrl, alice, bob, carol } = await openQueue()
    const waits = () => fetch(`${httpUrl}/metrics`).then((answer) => answer.text())
    take(bob, { wait_ms: 30_000, lease_ms: 43_200_000 }).catch(() => undefined)
    await eventually('it waits', async () => /cm_broker_queue_waits 1\n/.test(await waits()))
    bob.socket.terminate()
    await eventually('it waits no more', async () => /cm_broker_queue_waits 0\n/.test(await waits()))
    await enqueue(alice, ['work'])
    expect(await takeOne(carol)).toMatchObject({ deliveries: 1 })
  })

  test('does not keep a member that leaves the mesh', async () => {
    const { bob, carol, alice } = await openQueue()
    const waiting = take(bob, { wait_ms: 30_000 })
    await bob.settled()
    await enqueue(alice, ['one', 'two'])
    expect(await waiting).toHaveLength(1)
    const next = take(bob, { wait_ms: 30_000 })
    expect(await next).toHaveLength(1)
    const last = take(bob, { wait_ms: 30_000 })
    await bob.settled()
    await bob.request('members.leave', {})
    expect(await last).toEqual([])
    expect(await bob.closing()).toMatchObject({ code: 1000 })
    // What it had leased goes to those who are there.
    const items = [await takeOne(carol), await takeOne(carol)]
    expect(items.map((item) => item.deliveries)).toEqual([2, 2])
  })

  test('does not keep a broker that stops', async () => {
    const { url, close } = await startBroker()
    const bob = await RawMember.connect(url, new RawMesh().founder)
    await bob.request('queues.consume', { queue: 'jobs' })
    take(bob, { wait_ms: 30_000 }).catch(() => undefined)
    await bob.settled()
    await Promise.all([close(), bob.closing()])
  })
})
