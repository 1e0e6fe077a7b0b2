/** A daemon with empty stores again: the same member or none any more, and nothing that was told is told again. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Identity } from '@claudemesh/protocol'
import type { HistoryPage } from '@claudemesh/protocol/history'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'

interface Report {
  readonly confirmed: boolean
  readonly waiting: number | null
  readonly entries: readonly { readonly path: string }[]
}

describe('a reset', { timeout: 120_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
  }, 60_000)
  afterAll(() => mesh.end())

  const reset = (member: TestMember, ...options: readonly string[]) => {
    const { status, stdout, stderr } = member.run(['daemon', 'reset', '--json', ...options])
    const answer: unknown = JSON.parse(stdout === '' ? stderr : stdout)
    return { ...(answer as Report & { readonly code?: string }), status }
  }
  const stop = async (member: TestMember) => {
    member.cli(['daemon', 'stop'])
    await member.running.ended
  }
  const newestSeq = async () => {
    const answer = await bob.request({ method: 'GET', path: '/v1/history/query?order=newest&limit=1' })
    return (answer.json as HistoryPage).rows[0]?.seq ?? 0
  }
  /** Of a daemon that is stopped. */
  const lastEventId = () => {
    const db = new Database(bob.paths.eventsDatabase, { readonly: true })
    try {
      return Number(db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'event'").pluck().get())
    } finally {
      db.close()
    }
  }

  test('leaves a running daemon and messages that wait alone, and says what it would delete', async () => {
    expect(reset(alice, '--confirm')).toMatchObject({ status: 75, code: 'already_running' })
    await mesh.broker.kill()
    expect(await alice.send({ to: '@bob', message: 'kept', client_message_id: 'kept' })).toMatchObject({ status: 202 })
    await stop(alice)
    const before = readdirSync(alice.paths.directory)
    const plan = reset(alice)
    expect(plan).toMatchObject({ status: 1, confirmed: false, waiting: 1 })
    const names = plan.entries.map(({ path }) => basename(path))
    expect(names).toEqual(expect.arrayContaining(['outbox.db', 'inbox.db', 'members.db', 'history']))
    for (const name of ['keypair.json', 'host_fingerprint.json', 'local_token', 'lock'])
      expect(names).not.toContain(name)
    expect(readdirSync(alice.paths.directory)).toEqual(expect.arrayContaining(before.filter((name) => name !== 'pid')))
    expect(reset(alice, '--confirm')).toMatchObject({ status: 73, code: 'outbox_not_empty' })
    await mesh.broker.start()
    await alice.start()
    await alice.drained()
    expect((await bob.inboxOf(1)).map(({ message }) => message)).toEqual(['kept'])
  })

  test('killed at any of its steps keeps the daemon from starting, and comes to its end the next time', async () => {
    const before = (await bob.request({ method: 'GET', path: '/v1/identity' })).json as Identity
    await bob.send({ to: '@alice', message: 'from before' }, '?wait=20000&until=delivered')
    const seq = await eventually('the history has it', async () => ((await newestSeq()) > 0 ? newestSeq() : null))
    await stop(bob)
    const eventId = lastEventId()
    expect(eventId).toBeGreaterThan(0)
    for (const at of ['daemon.reset.begun', 'daemon.reset.removed', 'daemon.reset.emptied']) {
      const { status } = bob.run(['daemon', 'reset', '--confirm'], '', { CLAUDEMESH_CRASH_AT: at })
      expect(status, at).toBeNull()
      const refused = bob.run(['daemon', 'start', '--json'])
      expect(JSON.parse(refused.stderr), at).toMatchObject({ code: 'reset_unfinished' })
    }
    expect(reset(bob, '--confirm')).toMatchObject({ status: 0, confirmed: true })
    await bob.start()
    await bob.knows(['alice', 'bob'])
    expect((await bob.request({ method: 'GET', path: '/v1/identity' })).json).toMatchObject({
      member_id: before.member_id,
    })
    const health = await bob.health()
    expect([health?.inbox.messages, health?.outbox.done]).toEqual([0, 0])
    const sent = await alice.send({ to: '@bob', message: 'afterwards' }, '?wait=20000&until=delivered')
    expect(sent.json).toMatchObject({ state: 'delivered' })
    expect((await bob.inbox()).map(({ message }) => message)).toEqual(['afterwards'])
    await eventually('the history goes on above what there was', async () => (await newestSeq()) > seq)
    await stop(bob)
    expect(lastEventId()).toBeGreaterThan(eventId)
  })

  test('makes no member of a host when asked, and takes the root key only by its name', async () => {
    expect(reset(bob, '--forget-member', '--confirm')).toMatchObject({ status: 0 })
    expect(existsSync(bob.paths.keypair)).toBe(false)
    expect(bob.run(['daemon', 'start', '--json']).stderr).toContain('mesh_not_configured')
    const { token } = JSON.parse(alice.cli(['invite', 'create', '--json'])) as { token: string }
    bob.cli(['join', '-', '--name', 'robert'], token)
    await bob.start()
    await alice.knows(['robert'])

    await stop(alice)
    expect(reset(alice, '--forget-member', '--confirm')).toMatchObject({ status: 65, code: 'root_key_at_stake' })
    expect(readFileSync(alice.paths.keypair, 'utf8')).not.toBe('')
    expect(reset(alice, '--forget-member', '--discard-root-key', '--confirm')).toMatchObject({ status: 0 })
    expect(readdirSync(alice.home).toSorted()).toEqual(['daemon', 'meshes'])
  })
})
