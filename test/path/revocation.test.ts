/** Members and invites that the mesh no longer trusts: every host judges by the signed list itself. */
import { readFileSync, rmSync } from 'node:fs'
import type { Identity, Peer } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { TestMember, TestMesh } from '../support/mesh.ts'

async function peersOf(member: TestMember): Promise<Map<string, Peer['status']>> {
  const { peers } = (await member.request({ method: 'GET', path: '/v1/peers' })).json as { peers: Peer[] }
  return new Map(peers.map(({ name, status }) => [name, status]))
}

async function listNumber(member: TestMember): Promise<number | null> {
  return ((await member.request({ method: 'GET', path: '/v1/identity' })).json as Identity).revocations
}

describe('revocation', () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember
  let carol: TestMember
  const joined: TestMember[] = []

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob', 'carol'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
    carol = mesh.member('carol')
  }, 60_000)
  afterAll(async () => {
    for (const member of joined) await member.kill()
    await mesh.end()
  })

  /** Somebody who has an invite, with a daemon that was not started. */
  function join(name: string, token: string): TestMember {
    const member = new TestMember(name, `${mesh.directory}/${name}`)
    joined.push(member)
    member.cli(['join', '-', '--name', name], token)
    return member
  }

  test('is for admins, not of oneself, and of somebody who is there', async () => {
    const refused = carol.run(['member', 'revoke', 'bob', '--json'])
    expect(refused.status).toBe(77)
    expect(JSON.parse(refused.stderr)).toMatchObject({ code: 'not_admin', status: 403 })
    const self = alice.run(['member', 'revoke', 'alice', '--json'])
    expect(JSON.parse(self.stderr)).toMatchObject({ code: 'invalid_request', field: 'member' })
    const nobody = alice.run(['member', 'revoke', 'bbo', '--json'])
    expect(JSON.parse(nobody.stderr)).toMatchObject({ code: 'recipient_unknown', near: ['bob'] })
    expect(await listNumber(alice)).toBeNull()
  })

  test('of a member ends its daemon, which says why, and no host sends to it any more', async () => {
    const said = JSON.parse(alice.cli(['member', 'revoke', 'bob', '--reason', 'stolen laptop', '--json']))
    expect(said).toMatchObject({ name: 'bob', changed: true, number: 1 })
    expect(await bob.running.ended).toMatchObject({ code: 77 })
    expect(JSON.parse(readFileSync(bob.paths.lastExit, 'utf8'))).toMatchObject({ name: 'member_revoked' })
    const status = bob.run(['daemon', 'status'])
    expect(status.stdout + status.stderr).toContain('member_revoked')
    for (const member of [alice, carol]) {
      await eventually(`${member.name} has the list`, async () => (await listNumber(member)) === 1)
      expect((await peersOf(member)).get('bob')).toBe('revoked')
      const refused = await member.send({ to: '@bob', message: 'too late' })
      expect(refused).toMatchObject({ status: 403, json: { code: 'member_revoked' } })
    }
  })

  test('said twice is one', async () => {
    const { member_id } = JSON.parse(bob.cli(['whoami', '--json'])) as { member_id: string }
    const again = JSON.parse(alice.cli(['member', 'revoke', member_id, '--json']))
    expect(again).toMatchObject({ changed: false, number: 1, member_id })
  })

  test('holds without the broker, and against one that has forgotten it', async () => {
    await carol.kill()
    await mesh.broker.kill()
    await carol.start()
    expect(await carol.send({ to: '@bob', message: 'x' })).toMatchObject({ status: 403 })
    rmSync(mesh.broker.data, { recursive: true })
    await mesh.broker.start()
    await eventually('carol is connected', async () => (await carol.health())?.link.connected)
    await bob.start().catch(() => undefined)
    await eventually('the broker has the list again, from another host', async () => bob.running.ending !== null)
    expect(bob.running.ending).toMatchObject({ code: 77 })
    // To a broker that never let bob in he is nobody.
    const refused = (await carol.send({ to: '@bob', message: 'x' })).json as { code: string }
    expect(['member_revoked', 'recipient_unknown']).toContain(refused.code)
    await eventually('alice is connected', async () => (await alice.health())?.link.connected)
    await eventually('alice and carol know each other', async () => (await peersOf(alice)).get('carol') === 'active')
  })

  test('of an invite lets nobody else join by it, and everybody stay who did', async () => {
    const invited = alice.cli(['invite', 'create', '--uses', '5', '--json'])
    const { token, invite_id } = JSON.parse(invited) as { token: string; invite_id: string }
    const dave = join('dave', token)
    await dave.start()
    await eventually('dave is connected', async () => (await dave.health())?.link.connected)

    expect(JSON.parse(alice.cli(['invite', 'revoke', invite_id, '--json']))).toMatchObject({ changed: true, number: 2 })
    expect(alice.cli(['invite', 'list'])).toContain('revoked')
    const erin = join('erin', token)
    await erin.start()
    await eventually('erin is told', async () => (await erin.health())?.link.last_error?.includes('invite_revoked'))
    await dave.start()
    await eventually('dave is connected again', async () => (await dave.health())?.link.connected)
    const sent = await alice.send({ to: '@dave', message: 'you stay' }, '?wait=20000&until=delivered')
    expect(sent.json).toMatchObject({ state: 'delivered' })
    const unknown = carol.run(['invite', 'revoke', invite_id, '--json'])
    expect(JSON.parse(unknown.stderr)).toMatchObject({ code: 'not_admin' })
  })

  test('by two admins at once loses neither', async () => {
    const { token } = JSON.parse(alice.cli(['invite', 'create', '--role', 'admin', '--json'])) as { token: string }
    const frank = join('frank', token)
    await frank.start()
    await eventually('frank is connected', async () => (await frank.health())?.link.connected)
    await eventually('alice is connected', async () => (await alice.health())?.link.connected)
    const ids = Array.from({ length: 4 }, (_, n) => `01HZ00000000000000000000${String(n).padStart(2, '0')}`)
    const revoke = (member: TestMember, id: string) =>
      member.request({ method: 'POST', path: `/v1/invites/${id}/revoke` })
    const answers = await Promise.all(ids.map((id, n) => revoke(n % 2 === 0 ? alice : frank, id)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    for (const id of ids) expect((await revoke(alice, id)).json).toMatchObject({ changed: false })
  })
})
