/** Members that last as long as their daemon: keys in memory, gone with it, by word or by lease. */
import { existsSync, readdirSync } from 'node:fs'
import type { Identity, PeersResponse } from '@claudemesh/protocol'
import { meshFilePath } from '@claudemesh/protocol'
import type { ArtifactsHealth } from '@claudemesh/protocol/artifacts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { TestMember, TestMesh } from '../support/mesh.ts'

describe('an ephemeral member', { timeout: 120_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  const made: TestMember[] = []

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice'])
    alice = mesh.member('alice')
  }, 60_000)
  afterAll(async () => {
    for (const member of made) await member.kill()
    await mesh.end()
  })

  function newToken(): string {
    return (JSON.parse(alice.cli(['invite', 'create', '--json'])) as { token: string }).token
  }

  function join(name: string, options: readonly string[]): TestMember {
    const member = new TestMember(name, `${mesh.directory}/${name}`)
    made.push(member)
    member.cli(['join', '-', '--name', name, ...options], newToken())
    return member
  }

  async function namesAt(member: TestMember): Promise<string[]> {
    const { peers } = (await member.request({ method: 'GET', path: '/v1/peers' })).json as PeersResponse
    return peers.map(({ name }) => name)
  }

  test('has its keys in memory only, sends and receives, and leaves nothing when it stops', async () => {
    const job = join('job', ['--ephemeral'])
    expect(existsSync(job.paths.keypair)).toBe(true)
    await job.start()
    await eventually('the keys are off the disk', () => !existsSync(job.paths.keypair))
    const identity = (await job.request({ method: 'GET', path: '/v1/identity' })).json as Identity
    expect(identity).toMatchObject({ name: 'job', ephemeral: true })
    await job.knows(['alice'])
    await alice.knows(['job'])
    const sent = await alice.send({ to: '@job', message: 'build it' }, '?wait=20000&until=delivered')
    expect(sent.json).toMatchObject({ state: 'delivered' })
    const rotated = job.run(['daemon', 'rotate-keypair', '--json'])
    expect(JSON.parse(rotated.stderr)).toMatchObject({ code: 'rotation_impossible' })

    // What was taken just before the end is let out.
    await job.send({ to: '@alice', message: 'built' })
    job.running.signal('SIGTERM')
    expect(await job.running.ended).toEqual({ code: 0, signal: null })
    await eventually('alice has the answer', async () =>
      (await alice.inbox()).some(({ message }) => message === 'built'),
    )
    await eventually('alice knows that it left', async () => !(await namesAt(alice)).includes('job'))
    expect(existsSync(meshFilePath(job.home, 'test'))).toBe(false)
    expect(readdirSync(job.paths.directory).filter((name) => /\.db|keypair|host_fingerprint/.test(name))).toEqual([])
    expect(job.run(['daemon', 'start', '--mesh', 'test']).status).toBe(78)
  })

  test('that was killed is removed by the broker when its lease ends, and its home can join again', async () => {
    const job = join('killed', ['--ephemeral', '--ttl', '1s'])
    await job.start()
    await alice.knows(['killed'])
    await eventually('the keys are off the disk', () => !existsSync(job.paths.keypair))
    await job.kill()
    const { status, stderr } = job.run(['daemon', 'start', '--mesh', 'test'])
    expect(status).toBe(78)
    expect(stderr).toContain('claudemesh join')
    job.cli(['join', '-', '--name', 'again', '--ephemeral'], newToken())
    await job.start()
    await alice.knows(['again'])
    await eventually('the broker has removed the other', async () => !(await namesAt(alice)).includes('killed'), {
      withinMs: 90_000,
    })
  }, 120_000)

  test('that was killed loses what was only queued, and the next member of that home knows nothing of it', async () => {
    const job = join('hasty', ['--ephemeral'])
    await job.start()
    await job.knows(['alice'])
    await eventually('the keys are off the disk', () => !existsSync(job.paths.keypair))
    const accepted = { to: '@alice', message: 'accepted in time', client_message_id: 'accepted' }
    expect((await job.send(accepted, '?wait=20000&until=accepted')).json).toMatchObject({ state: 'accepted' })
    const storeOf = async () => (await job.request({ method: 'GET', path: '/v1/artifacts/health' })).json
    const before = (await storeOf()) as ArtifactsHealth
    await mesh.broker.kill()
    const queued = await job.send({ to: '@alice', message: 'only queued', client_message_id: 'queued' })
    expect(queued).toMatchObject({ status: 202, json: { status: 'queued' } })
    await job.kill()
    await mesh.broker.start()

    job.cli(['join', '-', '--name', 'hasty-again', '--ephemeral'], newToken())
    await job.start()
    await job.knows(['alice'])
    for (const key of ['accepted', 'queued']) {
      expect((await job.request({ method: 'GET', path: `/v1/outbox/${key}` })).status).toBe(404)
    }
    const after = (await storeOf()) as ArtifactsHealth
    expect([before.status, after.status, after.registry === before.registry]).toEqual(['ok', 'ok', false])
    expect((await job.send({ to: '@alice', message: 'marker' }, '?wait=20000&until=delivered')).json).toMatchObject({
      state: 'delivered',
    })
    const texts = (await alice.inbox()).map(({ message }) => message)
    expect(texts).toContain('accepted in time')
    expect(texts).not.toContain('only queued')
  })

  test('is not joined over while its daemon runs', async () => {
    const job = join('busy', ['--ephemeral'])
    await job.start()
    await eventually('the keys are off the disk', () => !existsSync(job.paths.keypair))
    const refused = job.run(['join', '-', '--json'], newToken())
    expect(JSON.parse(refused.stderr)).toMatchObject({ code: 'mesh_exists' })
    expect(await job.health()).not.toBeNull()
  })

  const joins: readonly {
    readonly env: Record<string, string>
    readonly args: string[]
    readonly ttl: number | null
  }[] = [
    { env: {}, args: [], ttl: null },
    { env: {}, args: ['--ephemeral'], ttl: 7_200_000 },
    { env: {}, args: ['--ephemeral', '--ttl', '30m'], ttl: 1_800_000 },
    { env: { CI: 'true' }, args: [], ttl: 7_200_000 },
    { env: { GITHUB_ACTIONS: 'true' }, args: ['--ttl', '10m'], ttl: 600_000 },
    { env: { CI: 'true' }, args: ['--persistent'], ttl: null },
    { env: { CI: 'false' }, args: [], ttl: null },
  ]
  for (const [index, { env, args, ttl }] of joins.entries()) {
    const where = Object.entries(env).map(([name, value]) => `${name}=${value} `)
    test(`${where.join('')}join ${args.join(' ')} makes ${ttl === null ? 'a member that stays' : `a lease of ${ttl} ms`}`, () => {
      const member = new TestMember('x', `${mesh.directory}/join${index}`)
      const { status, stdout } = member.run(['join', '-', '--name', 'x', ...args, '--json'], newToken(), env)
      expect(status).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ ephemeral_ttl_ms: ttl })
    })
  }

  for (const args of [
    ['--persistent', '--ephemeral'],
    ['--ttl', '1h'],
    ['--ephemeral', '--ttl', '40d'],
  ]) {
    test(`join ${args.join(' ')} is refused`, () => {
      const member = new TestMember('x', `${mesh.directory}/refused`)
      expect(member.run(['join', '-', ...args], newToken()).status).toBe(64)
    })
  }
})
