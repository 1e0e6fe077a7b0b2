/** What daemons record of a mesh: everything sent and received, once each, whatever happens to the process. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HistoryRow } from '@claudemesh/protocol'
import type { HistoryPage, HistoryStats } from '@claudemesh/protocol/history'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { range } from './history-under-test.ts'

async function historyOf(member: TestMember, query = ''): Promise<HistoryRow[]> {
  const rows: HistoryRow[] = []
  for (let after = ''; ; ) {
    const path = `/v1/history/query?order=oldest&limit=500${query}${after}`
    const page = (await member.request({ method: 'GET', path })).json as HistoryPage
    rows.push(...page.rows)
    if (page.next === null) return rows
    after = `&after=${page.next}`
  }
}

describe('the history of a mesh', { timeout: 60_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
  }, 60_000)
  afterAll(() => mesh.end())

  /** How a message of alice stands in a history: direction and state of its rows. */
  async function told(member: TestMember, key: string): Promise<string[]> {
    const rows = await historyOf(member, `&client_message_id=${key}`)
    return rows.map(({ direction, state }) => `${direction} ${state}`)
  }

  test('has what was sent, what became of it, and what was received', async () => {
    await alice.send({ to: '@bob', message: 'build is green', meta: { run: 7 }, client_message_id: 'first' })
    await eventually('the receipt is recorded', async () => (await told(alice, 'first')).length === 3)
    expect(await told(alice, 'first')).toEqual(['sent queued', 'receipt accepted', 'receipt delivered'])
    await eventually('the message is recorded', async () => (await told(bob, 'first')).length === 1)
    const [sent, accepted, delivered] = await historyOf(alice, '&client_message_id=first')
    const [received] = await historyOf(bob, '&client_message_id=first')
    expect(sent).toMatchObject({ partition: 'messages/mesh=test', body: 'build is green', meta: { run: 7 } })
    expect(received).toMatchObject({
      direction: 'received',
      state: 'received',
      body: 'build is green',
      meta: { run: 7 },
    })
    expect(received).toMatchObject({ sender: sent?.sender, destination: sent?.destination })
    expect(accepted).toMatchObject({ broker_message_id: received?.broker_message_id, history_id: received?.history_id })
    expect(delivered).toMatchObject({ destination: sent?.destination, broker_message_id: received?.broker_message_id })
  })

  test('is asked for by who, where, when and what', async () => {
    bob.cli(['topic', 'subscribe', 'builds'])
    await alice.request({
      method: 'POST',
      path: '/v1/topic/post',
      body: { topic: 'builds', message: 'two', client_message_id: 'second' },
    })
    await eventually('it is recorded', async () => (await historyOf(alice, '&to=%23builds')).length >= 1)
    expect((await historyOf(alice, '&to=%23builds&direction=sent')).map(({ body }) => body)).toEqual(['two'])
    expect((await historyOf(bob, '&from=alice')).every(({ direction }) => direction === 'received')).toBe(true)
    expect(await historyOf(alice, `&since=${Date.now() + 60_000}`)).toEqual([])
    const events = await historyOf(alice, '&dataset=events')
    expect(events.map(({ state }) => state)).toContain('daemon_connect')
    expect(events.map(({ state }) => state)).not.toContain('message')
  })

  const kills = ['history.append.before_commit', 'history.append.committed'] as const
  test.each(kills)('has every message once when the daemon is killed at %s', async (point) => {
    const before = (await historyOf(alice)).length
    await alice.start({ crashAt: `${point}:4` })
    const accepted: string[] = []
    for (const n of range(1, 60)) {
      const key = `${point}-${n}`
      const answer = await alice.send({ to: '@bob', message: key, client_message_id: key }).catch(() => null)
      if (answer === null) break
      if (answer.status < 300) accepted.push(key)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await alice.start()
    const all = async () => (await historyOf(alice)).slice(before).filter(({ direction }) => direction === 'sent')
    await eventually('all is recorded', async () => (await all()).length >= accepted.length)
    await alice.drained()
    const keys = (await all()).map(({ client_message_id: key }) => key)
    expect(keys).toEqual([...new Set(keys)])
    expect(keys).toEqual(expect.arrayContaining(accepted))
    const seqs = (await historyOf(alice)).map(({ seq }) => Number(seq))
    expect(seqs).toEqual([...new Set(seqs)].toSorted((one, other) => one - other))
  })

  test('can be lost and put back: messages go on, and what came meanwhile is in it', async () => {
    const current = join(bob.paths.history, 'messages/mesh=test/current')
    const pointer = readFileSync(current)
    await bob.kill()
    rmSync(current)
    await bob.start()
    const down = (await bob.health())?.conditions.find(({ code }) => code === 'history_down')
    expect(down).toMatchObject({ severity: 'error' })
    const refused = await bob.request({ method: 'GET', path: '/v1/history/stats' })
    expect(refused.json).toMatchObject({ code: 'history_damaged', status: 500 })
    await alice.send(
      { to: '@bob', message: 'meanwhile', client_message_id: 'meanwhile' },
      '?wait=20000&until=delivered',
    )
    await bob.kill()
    writeFileSync(current, pointer, { mode: 0o600 })
    await bob.start()
    await eventually('it is recorded', async () => (await told(bob, 'meanwhile')).length === 1)
    expect((await bob.health())?.conditions.map(({ code }) => code)).not.toContain('history_down')
  })

  test('is pruned and compacted on demand, and says what goes when', async () => {
    const before = await historyOf(alice)
    const compacted = await alice.request({ method: 'POST', path: '/v1/history/compact', body: {} })
    expect(compacted.json).toMatchObject({
      partitions: [{ partition: 'events/mesh=test' }, { partition: 'messages/mesh=test', generation: 'gen-2.db' }],
    })
    expect(await historyOf(alice)).toEqual(before)
    const pruned = await alice.request({ method: 'POST', path: '/v1/history/prune', body: {} })
    expect(pruned.json).toMatchObject({ partitions: [{ rows: 0 }, { rows: 0, lost: 0 }] })
    const { partitions } = (await alice.request({ method: 'GET', path: '/v1/history/stats' })).json as HistoryStats
    const messages = partitions.find(({ partition }) => partition === 'messages/mesh=test')
    expect(messages).toMatchObject({ rows: before.length, pruned_rows: 0, lost_rows: 0, waiting_rows: 0 })
    expect(messages?.oldest_goes_at).toBe((messages?.oldest_at ?? 0) + 90 * 24 * 3_600_000)
  })
})
