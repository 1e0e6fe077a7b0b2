/** A home on another host: moved, or copied by accident. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import type { Identity, Message, PeersResponse } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { TestMember, TestMesh } from '../support/mesh.ts'

describe('a home that was accepted on another host', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember
  let copies = 0
  const made: TestMember[] = []

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
  }, 60_000)
  afterAll(async () => {
    for (const member of made) await member.kill()
    await mesh.end()
  })

  /** What somebody has who copies a machine's disk while the daemon is down. */
  function copyOf(member: TestMember, host: 'same' | 'other'): TestMember {
    copies += 1
    const home = `${mesh.directory}/copy${copies}`
    cpSync(member.home, home, { recursive: true, filter: (path) => !path.endsWith('/sock') })
    const copy = new TestMember(member.name, home)
    made.push(copy)
    if (host === 'other') {
      const file = JSON.parse(readFileSync(copy.paths.hostFingerprint, 'utf8')) as { fingerprint: string }
      writeFileSync(copy.paths.hostFingerprint, JSON.stringify({ ...file, fingerprint: 'f'.repeat(64) }))
    }
    return copy
  }

  test('does not start, and the reason names both ways on', async () => {
    await bob.kill()
    const copy = copyOf(bob, 'other')
    await bob.start()
    const { status, stderr } = copy.run(['daemon', 'start'])
    expect(status).toBe(78)
    expect(stderr).toContain('claudemesh daemon accept-host')
    expect(stderr).toContain('claudemesh daemon remint')
    const json = copy.run(['daemon', 'start', '--json'])
    expect(JSON.parse(json.stderr)).toMatchObject({ code: 'host_changed' })
  })

  test('starts after accept-host, which can be repeated', async () => {
    await bob.kill()
    const moved = copyOf(bob, 'other')
    expect(JSON.parse(moved.cli(['daemon', 'accept-host', '--json']))).toMatchObject({ changed: true })
    expect(JSON.parse(moved.cli(['daemon', 'accept-host', '--json']))).toMatchObject({ changed: false })
    await moved.start()
    const identity = (await moved.request({ method: 'GET', path: '/v1/identity' })).json as Identity
    expect(identity).toMatchObject({ name: 'bob', host: { accepted: true }, conflict: null })
    await moved.kill()
    await bob.start()
  })

  for (const { policy, tells } of [
    { policy: 'warn', tells: true },
    { policy: 'allow', tells: false },
  ]) {
    test(`runs under the policy ${policy}${tells ? ', and the status says so' : ''}`, async () => {
      await bob.kill()
      const copy = copyOf(bob, 'other')
      await copy.start({ env: { CLAUDEMESH_CLONE_POLICY: policy } })
      const codes = ((await copy.health())?.conditions ?? []).map(({ code }) => code)
      expect(codes.includes('host_changed')).toBe(tells)
      expect(codes).toContain('less_safe_setting')
      await copy.kill()
      await bob.start()
    })
  }

  test('that runs on both hosts is told of: neither fights', async () => {
    await bob.kill()
    const copy = copyOf(bob, 'same')
    await bob.start()
    await eventually('bob is connected', async () => (await bob.health())?.link.connected)
    await copy.start()
    await eventually('the status of one of the two says so', async () => {
      const healths = [await bob.health(), await copy.health()]
      return healths.some((health) => health?.conditions.some(({ code }) => code === 'identity_conflict'))
    })
    await copy.kill()
  })

  test('becomes somebody else by remint, and the original stays who it was', async () => {
    const copy = copyOf(bob, 'other')
    const { token } = JSON.parse(alice.cli(['invite', 'create', '--json'])) as { token: string }
    const without = copy.run(['daemon', 'remint', '--json'])
    expect(JSON.parse(without.stderr)).toMatchObject({ code: 'not_admin' })
    const said = JSON.parse(copy.cli(['daemon', 'remint', '-', '--name', 'bob-2', '--json'], token))
    const { member_id: former } = JSON.parse(bob.cli(['whoami', '--json'])) as { member_id: string }
    expect(said).toMatchObject({ name: 'bob-2', role: 'member', former_member_id: former, rows_dropped: 0 })
    await copy.start()
    await alice.knows(['bob', 'bob-2'])
    const { peers } = (await alice.request({ method: 'GET', path: '/v1/peers' })).json as PeersResponse
    expect(peers.find(({ name }) => name === 'bob')).toMatchObject({ member_id: former, status: 'active' })
    const sent = await alice.send({ to: '@bob-2', message: 'welcome' }, '?wait=20000&until=delivered')
    expect(sent.json).toMatchObject({ state: 'delivered' })
    expect((await copy.inbox()).map(({ message }) => message)).toContain('welcome')
    await copy.kill()
  })

  test('is not reminted under messages that wait, unless they are dropped, and they stay on the list', async () => {
    await mesh.broker.kill()
    await alice.send({ to: '@bob', message: 'waits', client_message_id: 'waiting' })
    const running = alice.run(['daemon', 'remint', '--json'])
    expect(JSON.parse(running.stderr)).toMatchObject({ code: 'already_running' })
    await alice.kill()
    const copy = copyOf(alice, 'other')
    const refused = copy.run(['daemon', 'remint', '--json'])
    expect(refused.status).toBe(73)
    expect(JSON.parse(refused.stderr)).toMatchObject({ code: 'outbox_not_empty' })
    const said = copy.cli(['daemon', 'remint', '--name', 'alice-2', '--discard-outbox', '--json'])
    expect(JSON.parse(said)).toMatchObject({ name: 'alice-2', role: 'admin', rows_dropped: 1 })
    await mesh.broker.start()
    await Promise.all([copy.start(), alice.start()])
    const row = await copy.request({ method: 'GET', path: '/v1/outbox/waiting' })
    expect(row.json).toMatchObject({ row: { status: 'aborted' } })
    await bob.start()
    await eventually('the original has sent it', async () => (await bob.inbox()).some(isWhatWaited))
    await alice.knows(['alice-2'])
  })
})

function isWhatWaited({ message, sender_name }: Message): boolean {
  return message === 'waits' && sender_name === 'alice'
}
