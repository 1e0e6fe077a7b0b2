/** The lease of a space (07 §4): who may append is decided by the ref, never by a clock. */
import { readdirSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { type DecisionDraft, type DecisionEvent, GitDecisionLog, SharedDecisionLog } from '@claudemesh/decisions'
import { createIdSource } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { eventually } from '../support/eventually.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, readIntents } from './git-repository.ts'

const space = 'plans'
const termMs = 10_000
const draft: DecisionDraft = { kind: 'note', actor: 'tester', payload: { text: 'decided', refs: [] } }

function newPath(): string {
  return join(scratchDirectory(), 'decisions.git')
}

/** Two processes of a repository, each with its own clock. */
async function openTwo() {
  const path = newPath()
  const open = async () => {
    const clock = { now: Date.now() }
    const now = () => clock.now
    const log = await GitDecisionLog.open({ path, runtime: { now, nextId: createIdSource(now) } })
    onTestFinished(() => log.close())
    return { log, clock }
  }
  return { path, one: await open(), two: await open() }
}

const request = (holder: string) => ({ holder, socket: null, termMs })
const append = (log: GitDecisionLog, intentId: string, o: object = {}) => log.append(space, [draft], { intentId, ...o })

describe('a lease', () => {
  test('is granted once, and its epoch grows with every grant', async () => {
    const { one, two } = await openTwo()
    const first = await one.log.leases.acquire(space, request('one'))
    expect(first.lease.record).toMatchObject({ space, holder: 'one', epoch: 1, released: false })
    await expect(two.log.leases.acquire(space, request('two'))).rejects.toMatchObject({
      code: 'lease_held',
      data: { holder: 'one', epoch: 1 },
    })
    expect((await one.log.leases.acquire(space, request('one'))).lease.record.epoch).toBe(2)
  })

  test('is free after its term and an allowance for clocks, and at once when it was given up', async () => {
    const { one, two } = await openTwo()
    const first = await one.log.leases.acquire(space, request('one'))
    two.clock.now += termMs + 1_000
    await expect(two.log.leases.acquire(space, request('two'))).rejects.toMatchObject({ code: 'lease_held' })
    two.clock.now += 2_000
    const second = await two.log.leases.acquire(space, request('two'))
    expect(second.lease.record.epoch).toBe(2)
    await expect(one.log.leases.renew(first, termMs)).rejects.toMatchObject({ code: 'lease_lost' })
    await two.log.leases.release(second)
    expect((await one.log.leases.acquire(space, request('one'))).lease.record.epoch).toBe(3)
  })

  test('that is renewed stays, and appends that were under way are not disturbed', async () => {
    const { path, one, two } = await openTwo()
    const held = await one.log.leases.acquire(space, request('one'))
    const intents = Array.from({ length: 12 }, (_, n) => `i/${n}`)
    const appends = intents.map((intentId) => append(one.log, intentId, { lease: held }))
    for (let n = 0; n < 5; n += 1) {
      one.clock.now += 1_000
      await one.log.leases.renew(held, termMs)
      appends.push(append(one.log, `j/${n}`, { lease: held }))
    }
    await Promise.all(appends)
    expect(held.lease.record.epoch).toBe(1)
    expect((await readIntents(two.log, space)).length).toBe(17)
    expect(fsck(path)).toBe('')
  })

  test('that somebody else was granted meanwhile fences its old holder off, whatever its clock says', async () => {
    const { one, two } = await openTwo()
    const held = await one.log.leases.acquire(space, request('one'))
    await append(one.log, 'a', { lease: held })
    two.clock.now += termMs + 3_000
    const other = await two.log.leases.acquire(space, request('two'))
    await expect(append(one.log, 'late', { lease: held })).rejects.toMatchObject({ code: 'lease_lost' })
    await append(two.log, 'b', { lease: other })
    await expect(append(one.log, 'late', { lease: held })).rejects.toMatchObject({ code: 'lease_lost' })
    expect(await readIntents(one.log, space)).toEqual(['a', 'b'])
  })

  test('that is past its term and nobody else’s still counts', async () => {
    const { one } = await openTwo()
    const held = await one.log.leases.acquire(space, request('one'))
    one.clock.now += 100 * termMs
    await append(one.log, 'a', { lease: held })
    expect(await readIntents(one.log, space)).toEqual(['a'])
  })

  test('keeps everybody out who has none', async () => {
    const { one, two } = await openTwo()
    const held = await one.log.leases.acquire(space, request('one'))
    await expect(append(two.log, 'b')).rejects.toMatchObject({ code: 'lease_held' })
    const imported = two.log.importEvents(space, one.log.watch(space, 0, AbortSignal.abort()))
    await expect(imported).rejects.toMatchObject({ code: 'lease_held' })
    await one.log.leases.release(held)
    await append(two.log, 'b')
    await expect(append(one.log, 'a', { lease: held })).rejects.toMatchObject({ code: 'lease_lost' })
    expect(await readIntents(one.log, space)).toEqual(['b'])
  })

  test('is taken over by an operator, which is in the log', async () => {
    const { path, one, two } = await openTwo()
    const held = await one.log.leases.acquire(space, request('one'))
    await append(one.log, 'a', { lease: held })
    const seized = await two.log.seizeLease(space, 'operator', request('two'))
    await expect(append(one.log, 'late', { lease: held })).rejects.toMatchObject({ code: 'lease_lost' })
    await append(two.log, 'b', { lease: seized })
    expect(await readIntents(two.log, space)).toEqual(['a', 'lease/2/two', 'b'])
    expect(fsck(path)).toBe('')
  })
})

describe('processes that share a space', () => {
  test('append through the one that holds the lease, and go on when it closes', async () => {
    const path = newPath()
    const open = async (holder: string) => {
      const shared = await SharedDecisionLog.open({ path, holder })
      onTestFinished(() => shared.close())
      return shared
    }
    const [one, two, three] = [await open('one'), await open('two'), await open('three')]
    await one.append(space, [draft], { intentId: 'a' })
    await Promise.all([two, three].map((log, n) => log.append(space, [draft], { intentId: `b/${n}` })))
    expect((await one.log.leases.read(space))?.record).toMatchObject({ holder: 'one', epoch: 1 })
    await expect(two.append(space, [draft], { intentId: 'x', expectHead: 1 })).rejects.toMatchObject({
      code: 'head_moved',
      data: { head: 3 },
    })
    await one.close()
    await two.append(space, [draft], { intentId: 'c' })
    const again = await three.append(space, [draft], { intentId: 'a' })
    expect(again[0]?.seq).toBe(1)
    await three.seize(space, 'operator')
    await two.append(space, [draft], { intentId: 'd' })
    expect((await three.log.leases.read(space))?.record).toMatchObject({ holder: 'three', epoch: 3 })
    expect([...(await readIntents(two.log, space))].sort()).toEqual(['a', 'b/0', 'b/1', 'c', 'd', 'lease/3/three'])
  })

  test('are told who holds it when it does not answer for too long', async () => {
    const path = newPath()
    const silent = await GitDecisionLog.open({ path })
    onTestFinished(() => silent.close())
    await silent.leases.acquire(space, { ...request('silent'), termMs: 3_600_000 })
    const shared = await SharedDecisionLog.open({ path, holder: 'patient', waitMsMax: 100 })
    onTestFinished(() => shared.close())
    await expect(shared.append(space, [draft], { intentId: 'a' })).rejects.toMatchObject({
      code: 'lease_held',
      data: { holder: 'silent' },
    })
  })
})

test('a socket of a process that was killed is taken away by the next one that listens, and one of a living one is not', async () => {
  const temporary = scratchDirectory()
  const environment = { TMPDIR: temporary }
  const start = async (name: string) => {
    const args = [newPath(), space, name, '1000000', '15000']
    const child = startChild('decisions/children/shared-appends.mjs', args, { environment })
    await child.printed(1)
    return child
  }
  const sockets = () =>
    readdirSync(temporary).flatMap((name) =>
      readdirSync(join(temporary, name)).map((each) => join(temporary, name, each)),
    )
  const aLongTimeAgo = () => {
    for (const socket of sockets()) utimesSync(socket, 0, 0)
  }
  const killed = await start('killed')
  const [left = ''] = sockets()
  killed.process.kill('SIGKILL')
  await killed.exited
  aLongTimeAgo()
  await start('living')
  const living = sockets()
  expect([living.length, living.includes(left)]).toEqual([1, false])
  aLongTimeAgo()
  await start('next')
  expect(sockets()).toEqual(expect.arrayContaining(living))
  expect(statSync(join(temporary, readdirSync(temporary)[0] ?? '')).mode & 0o777).toBe(0o700)
}, 30_000)

describe('who shares a repository', () => {
  const open = async (path: string, holder: string) => {
    const shared = await SharedDecisionLog.open({ path, holder, termMs: 60 })
    onTestFinished(() => shared.close())
    return shared
  }

  test('gives a lease up that it has not needed for a while, and is granted it again when it decides', async () => {
    const shared = await open(newPath(), 'one')
    await shared.append(space, [draft], { intentId: 'first' })
    expect(shared.holds(space)).toBe(true)
    await eventually('it is given up', () => !shared.holds(space))
    await eventually('and says so', async () => (await shared.log.leases.read(space))?.record.released === true)
    await shared.append(space, [draft], { intentId: 'second' })
    expect(shared.holds(space)).toBe(true)
    expect(await readIntents(shared.log, space)).toEqual(['first', 'second'])
  })

  test('keeps one that was asked for by itself', async () => {
    const shared = await open(newPath(), 'one')
    await shared.acquire(space, { keep: true })
    const granted = await shared.log.leases.read(space)
    await eventually('it is renewed over and over', async () => {
      const { record } = (await shared.log.leases.read(space)) ?? { record: null }
      return Date.parse(record?.expires_at ?? '') - Date.parse(granted?.record.expires_at ?? '') > 500
    })
    expect(shared.holds(space)).toBe(true)
  })

  test('takes an import over however long it lasts', async () => {
    const [from, to] = [
      await open(join(scratchDirectory(), 'a.git'), 'one'),
      await open(join(scratchDirectory(), 'b.git'), 'two'),
    ]
    const events = await from.append(space, [draft, draft], { intentId: 'both' })
    await to.acquire(space, { keep: false })
    async function* slowly() {
      for (const event of events) {
        const before = (await to.log.leases.read(space))?.id ?? null
        yield event
        await eventually('the lease is renewed', async () => ((await to.log.leases.read(space))?.id ?? null) !== before)
      }
    }
    expect(await to.importEvents(space, slowly())).toBe(2)
  })

  test.each([0, 1])('makes no space of an import that is wrong after %i events', async (sound) => {
    const [from, to] = [newPath(), newPath()]
    const [event] = await (await open(from, 'one')).append(space, [draft], { intentId: 'one' })
    const shared = await open(to, 'two')
    async function* wrong(): AsyncGenerator<DecisionEvent> {
      if (sound === 1 && event !== undefined) yield event
      yield await Promise.reject<never>(new Error('no decision'))
    }
    await expect(shared.importEvents(space, wrong())).rejects.toThrow('no decision')
    expect([await shared.log.leases.read(space), await shared.spaces()]).toEqual([null, []])
  })
})
