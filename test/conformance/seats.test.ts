/** Who is connected, over every engine; see seats.ts for what is promised. An engine of one process plays both nodes. */
import { describe, expect, test } from 'vitest'
import type { ConcurrencyPolicy, MemberKey } from '../../apps/broker/src/store/rows.ts'
import type { SeatRequest } from '../../apps/broker/src/store/seats.ts'
import { eventually } from '../support/eventually.ts'
import { type Engine, engines, openPostgres } from './engines.ts'
import { acceptOne, claim, makeItem, openWithMembers } from './scenario.ts'

const graceMs = 90_000
const deadAfterMs = 600_000

for (const { name, open } of engines) {
  describe(`seats (${name})`, () => {
    test('the newest connection replaces the others, and the oldest has precedence, as the policy says', async () => {
      const { engine, bob, one, two } = await openNodes(open)
      expect(await one.take(request(engine, bob, 'c1', 'prefer_newest'))).toEqual({ kind: 'seated', ended: [] })
      expect(await two.take(request(engine, bob, 'c2', 'prefer_newest'))).toEqual({
        kind: 'seated',
        ended: [{ ...bob, connectionId: 'c1', ending: 'replaced_by_newer_connection' }],
      })
      expect(await one.take(request(engine, bob, 'c3', 'prefer_oldest'))).toEqual({ kind: 'refused' })
      expect(await one.take(request(engine, bob, 'c4', 'allow_concurrent'))).toEqual({ kind: 'seated', ended: [] })
      await two.leave({ ...bob, connectionId: 'c2' }, engine.clock.now())
      await one.leave({ ...bob, connectionId: 'c4' }, engine.clock.now())
      expect(await one.take(request(engine, bob, 'c5', 'prefer_oldest'))).toEqual({ kind: 'seated', ended: [] })
    })

    test.each(['prefer_newest', 'prefer_oldest', 'allow_concurrent'] as const)(
      'a process that comes again replaces itself without a word (%s)',
      async (policy) => {
        const { engine, bob, one, two } = await openNodes(open)
        await one.take(request(engine, bob, 'c1', policy, 'same'))
        expect(await two.take(request(engine, bob, 'c2', policy, 'same'))).toEqual({
          kind: 'seated',
          ended: [{ ...bob, connectionId: 'c1', ending: 'gone' }],
        })
      },
    )

    test('of many that come at once to two nodes one has the seat in the end', async () => {
      const { engine, bob, one, two } = await openNodes(open)
      for (let round = 0; round < 10; round += 1) {
        const ids = Array.from({ length: 6 }, (_, n) => `${round}-${n}`)
        const outcomes = await Promise.all(
          ids.map((id, n) => (n % 2 === 0 ? one : two).take(request(engine, bob, id, 'prefer_newest'))),
        )
        const ended = outcomes.flatMap((outcome) => (outcome.kind === 'seated' ? outcome.ended : []))
        const left = ids.filter((id) => !ended.some(({ connectionId }) => connectionId === id))
        expect(left).toHaveLength(1)
      }
      const oldest = await openWithMembers(open)
      const outcomes = await Promise.all(
        ['x', 'y', 'z'].map((id) =>
          oldest.engine.store.seats.take(request(oldest.engine, oldest.bob, id, 'prefer_oldest', id, 'none')),
        ),
      )
      expect(outcomes.filter(({ kind }) => kind === 'seated').length).toBeLessThanOrEqual(1)
    })

    test('a member is there from its first open seat until the grace after its last, and each is told once', async () => {
      const { engine, bob, one, two } = await openNodes(open)
      const isOnline = async () => (await engine.store.findMember(bob))?.online
      await one.take(request(engine, bob, 'c1', 'allow_concurrent'))
      expect(await isOnline()).toBe(false)
      expect(await one.open({ ...bob, connectionId: 'c1' }, engine.clock.now())).toBe(true)
      await two.take(request(engine, bob, 'c2', 'allow_concurrent'))
      expect(await two.open({ ...bob, connectionId: 'c2' }, engine.clock.now())).toBe(false)
      await one.leave({ ...bob, connectionId: 'c1' }, engine.clock.now())
      engine.clock.advance(2 * graceMs)
      expect(await end(engine)).toEqual([])
      const leftAt = engine.clock.now()
      await two.leave({ ...bob, connectionId: 'c2' }, leftAt)
      engine.clock.advance(graceMs - 5_000)
      expect([await end(engine), await isOnline()]).toEqual([[], true])
      engine.clock.advance(6_000)
      expect(await end(engine)).toEqual([{ ...bob, at: leftAt }])
      expect([await end(engine), await isOnline()]).toEqual([[], false])
      expect((await engine.store.findMember(bob))?.lastSeenAt).toBe(leftAt)
    })

    test('a reconnect within the grace makes no noise, to whatever node and however often', async () => {
      const { engine, bob, one, two } = await openNodes(open)
      await one.take(request(engine, bob, 'c0', 'prefer_newest'))
      await one.open({ ...bob, connectionId: 'c0' }, engine.clock.now())
      for (let n = 1; n <= 4; n += 1) {
        await one.leave({ ...bob, connectionId: `c${n - 1}` }, engine.clock.now())
        engine.clock.advance(graceMs - 10_000)
        expect(await end(engine)).toEqual([])
        await two.take(request(engine, bob, `c${n}`, 'prefer_newest'))
        expect(await two.open({ ...bob, connectionId: `c${n}` }, engine.clock.now())).toBe(false)
      }
    })

    test('a profile keeps its presence, and presence its profile', async () => {
      const { engine, bob, one } = await openNodes(open)
      await engine.store.setProfile(bob, { summary: 'reviews', activity: 'lunch', visible: false })
      await one.take(request(engine, bob, 'c1', 'prefer_newest'))
      await one.open({ ...bob, connectionId: 'c1' }, 5)
      const profile = { summary: 'reviews', activity: 'lunch', visible: false }
      expect(await engine.store.findMember(bob)).toMatchObject({ ...profile, online: true, lastSeenAt: 5 })
    })

    test('after a restart of everything those who were there have the grace time to come back', async () => {
      const { engine, bob, one } = await openNodes(open)
      await one.take(request(engine, bob, 'c1', 'prefer_newest'))
      await one.open({ ...bob, connectionId: 'c1' }, engine.clock.now())
      const { seats } = await engine.restart()
      await seats.beginNode({ nodeId: 'after', deadAfterMs })
      await eventually('silent nodes are given up', async () => {
        await seats.freeDead({ deadAfterMs: 0, now: engine.clock.now(), rowsMax: 10 })
        return (await seats.listSeated([bob])).length === 0
      })
      expect(await end(engine)).toEqual([])
      expect((await engine.store.findMember(bob))?.online).toBe(true)
      engine.clock.advance(graceMs + 1_000)
      expect(await end(engine)).toMatchObject([bob])
    })

    test('whoever has a seat is known to have one, wherever it is', async () => {
      const { engine, alice, bob, one, two } = await openNodes(open)
      await one.take(request(engine, bob, 'c1', 'prefer_newest'))
      expect(await two.listSeated([alice, bob])).toEqual([bob])
      await two.leave({ ...bob, connectionId: 'c1' }, engine.clock.now())
      expect(await two.listSeated([alice, bob])).toEqual([])
    })
  })
}

describe('seats of several nodes (PostgreSQL)', () => {
  test('a connection that lost its seat is found by its node until it has left', async () => {
    const { engine, bob, one, two } = await openNodes(openPostgres)
    await one.take(request(engine, bob, 'c1', 'prefer_newest'))
    await two.take(request(engine, bob, 'c2', 'prefer_newest'))
    expect(await one.listEnded('one')).toEqual([{ ...bob, connectionId: 'c1', ending: 'replaced_by_newer_connection' }])
    expect(await two.listEnded('two')).toEqual([])
    await one.leave({ ...bob, connectionId: 'c1' }, engine.clock.now())
    expect(await one.listEnded('one')).toEqual([])
  })

  test('whoever leaves the mesh loses its seats in the same step', async () => {
    const { engine, bob, one } = await openNodes(openPostgres)
    await one.take(request(engine, bob, 'c1', 'prefer_newest'))
    await engine.store.leave(bob, { at: engine.clock.now(), rowsMax: 10, leaseEnded: false })
    expect(await one.listEnded('one')).toEqual([{ ...bob, connectionId: 'c1', ending: 'normal' }])
  })

  test('a node finds for whom something waits that nobody has claimed', async () => {
    const { engine, alice, bob, one } = await openNodes(openPostgres)
    await one.take(request(engine, bob, 'c1', 'prefer_newest'))
    await one.open({ ...bob, connectionId: 'c1' }, engine.clock.now())
    expect(await one.listWaiting('one', engine.clock.now())).toEqual([])
    await acceptOne(engine, makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }))
    expect(await one.listWaiting('one', engine.clock.now())).toEqual([bob])
    expect(await one.listWaiting('two', engine.clock.now())).toEqual([])
    await claim(engine, bob, { connectionId: 'c1' })
    expect(await one.listWaiting('one', engine.clock.now())).toEqual([])
  })

  test('what a dead node held is free, and it takes nobody in any more', async () => {
    const { engine, alice, bob, one, two } = await openNodes(openPostgres)
    await one.take(request(engine, bob, 'c1', 'prefer_oldest'))
    await one.open({ ...bob, connectionId: 'c1' }, engine.clock.now())
    await acceptOne(engine, makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }))
    const claimed = await claim(engine, bob, { connectionId: 'c1' })
    const free = { deadAfterMs: 300, now: engine.clock.now(), rowsMax: 10 }
    await eventually('the silent node is given up', async () => {
      expect(await two.beat('two')).toBe(true)
      return (await two.freeDead(free)).length > 0
    })
    expect(await one.beat('one')).toBe(false)
    expect(await one.take(request(engine, bob, 'c2', 'prefer_newest'))).toEqual({ kind: 'node_ended' })
    expect(await claim(engine, bob, { connectionId: 'c3' })).toEqual(claimed)
    expect(await two.take(request(engine, bob, 'c3', 'prefer_oldest', 'c3', 'two'))).toMatchObject({ kind: 'seated' })
    expect(await two.open({ ...bob, connectionId: 'c3' }, engine.clock.now())).toBe(false)
  })

  test('a member that moves to another node gets at once what its old connection had claimed', async () => {
    const { engine, alice, bob, one, two } = await openNodes(openPostgres)
    await one.take(request(engine, bob, 'c1', 'prefer_newest', 'same'))
    await acceptOne(engine, makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }))
    const claimed = await claim(engine, bob, { connectionId: 'c1' })
    await two.take(request(engine, bob, 'c2', 'prefer_newest', 'same'))
    expect(await claim(engine, bob, { connectionId: 'c1' }), 'the old one claims nothing more').toEqual([])
    expect(await claim(engine, bob, { connectionId: 'c2' })).toEqual(claimed)
  })
})

async function openNodes(open: () => Promise<Engine>) {
  const scene = await openWithMembers(open)
  const one = scene.engine.store.seats
  const two = (await scene.engine.openSecond()).seats
  expect(await one.beginNode({ nodeId: 'one', deadAfterMs })).toEqual({ alone: true })
  await two.beginNode({ nodeId: 'two', deadAfterMs })
  return { ...scene, one, two }
}

let lastInstance = 0

/** Of a process of its own, unless it is told which; nodes are told apart by the first connections of the tests. */
function request(
  engine: Engine,
  member: MemberKey,
  connectionId: string,
  policy: ConcurrencyPolicy,
  instanceId?: string,
  nodeId = 'one',
): SeatRequest {
  lastInstance += 1
  const instance = instanceId ?? `instance-${lastInstance}`
  return { ...member, connectionId, nodeId, instanceId: instance, policy, now: engine.clock.now() }
}

function end(engine: Engine) {
  return engine.store.seats.endAbsences({ now: engine.clock.now(), graceMs, rowsMax: 10 })
}
