/**
 * Kills the commands that make, restore and replace a member, at each of their steps: the same command again comes to its
 * end, no member is half of two, and what was acknowledged arrives once.
 */
import { cpSync, existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { meshFilePath } from '../../packages/protocol/src/index.ts'
import { eventually } from '../support/eventually.ts'
import { meshSlug, TestMember, TestMesh } from '../support/mesh.ts'

const passphrase = 'correct horse battery staple'

// Stretching a passphrase takes a second, and much longer on a busy machine: that is its purpose.
describe('a command killed at any of its steps', { timeout: 150_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember
  let killed = 0
  const made: TestMember[] = []

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
    await mesh.broker.kill()
    for (const key of ['first', 'second']) {
      expect(await alice.send({ to: '@bob', message: key, client_message_id: key })).toMatchObject({ status: 202 })
    }
    await alice.kill()
  }, 60_000)
  afterAll(async () => {
    for (const member of made) await member.kill()
    await mesh.end()
    console.log(`steps of commands: killed ${killed} times`)
  })

  function home(name: string, directory: string): TestMember {
    const member = new TestMember(name, `${mesh.directory}/${directory}`)
    made.push(member)
    return member
  }

  /** Runs a command that dies at a step. */
  function dieAt(at: string, member: TestMember, args: readonly string[], input = ''): void {
    const { status, stdout, stderr } = member.run(args, input, { CLAUDEMESH_CRASH_AT: at })
    expect(status, `${args.join(' ')} dies at ${at}: ${stdout}${stderr}`).toBeNull()
    killed += 1
  }

  function refusal(member: TestMember, args: readonly string[], input = ''): unknown {
    const { status, stderr } = member.run([...args, '--json'], input)
    expect(status).not.toBe(0)
    return JSON.parse(stderr)
  }

  function newToken(): string {
    return (JSON.parse(alice.cli(['invite', 'create', '--json'])) as { token: string }).token
  }

  const backup = () => `${mesh.directory}/alice.backup`

  test('backup: the file is the one that was there, or the new one', () => {
    const args = ['daemon', 'backup', '--out', backup(), '--with-outbox']
    dieAt('daemon.freeze.after-commit', alice, args, `${passphrase}\n`)
    expect(existsSync(backup())).toBe(false)
    dieAt('atomic_file.before_rename', alice, args, `${passphrase}\n`)
    expect(existsSync(backup())).toBe(false)
    // What is there now is restored below.
    dieAt('atomic_file.renamed', alice, args, `${passphrase}\n`)
    expect(existsSync(backup())).toBe(true)
  })

  test('restore: no member until it is whole, and the same command again makes it', async () => {
    const restored = home('alice', 'restored')
    const args = ['daemon', 'restore', '--in', backup()]
    for (const at of ['daemon.restore.part-written', 'daemon.restore.marked']) {
      dieAt(at, restored, args, passphrase)
      expect(refusal(restored, ['daemon', 'start', '--mesh', meshSlug])).toMatchObject({ code: 'mesh_not_configured' })
    }
    expect(refusal(restored, ['join', '-'], newToken()), 'somebody else takes none of it over').toMatchObject({
      code: 'mesh_exists',
    })
    expect(JSON.parse(restored.cli([...args, '--json'], passphrase))).toMatchObject({ waiting: 2 })
    await mesh.broker.start()
    await restored.start()
    await restored.drained()
    const arrived = (await bob.inboxOf(2)).map((message) => message.client_message_id)
    expect(arrived).toEqual(['first', 'second'])
    await restored.kill()
  })

  test('remint: the same command again makes somebody new, and no start is half of two', async () => {
    const copy = home('alice', 'copy')
    cpSync(alice.home, copy.home, { recursive: true, filter: (path) => !path.endsWith('/sock') })
    const args = ['daemon', 'remint', '--name', 'anna', '--discard-outbox']
    dieAt('daemon.drop.after-commit', copy, args)
    dieAt('daemon.remint.keys-written', copy, args)
    expect(refusal(copy, ['daemon', 'start'])).toMatchObject({ code: 'config_invalid' })
    dieAt('daemon.remint.mesh-written', copy, args)
    dieAt('daemon.remint.archive-removed', copy, args)
    expect(JSON.parse(copy.cli([...args, '--json']))).toMatchObject({ name: 'anna', rows_dropped: 0 })
    await copy.start()
    await copy.knows(['bob'])
    const sent = await copy.send({ to: '@bob', message: 'from anna' }, '?wait=20000&until=delivered')
    expect(sent.json).toMatchObject({ state: 'delivered' })
    const row = (await copy.request({ method: 'GET', path: '/v1/outbox/first' })).json
    expect(row).toMatchObject({ row: { status: 'aborted' } })
    expect((await bob.inbox()).map(({ message }) => message)).toEqual(['first', 'second', 'from anna'])
    await copy.kill()
  })

  test('an ephemeral member killed while it forgets itself: the next member of its home knows nothing of it', async () => {
    const job = home('job', 'job')
    job.cli(['join', '-', '--name', 'job', '--ephemeral'], newToken())
    await job.start({ crashAt: 'daemon.forget.half-done' })
    await job.knows(['bob'])
    const sent = await job.send(
      { to: '@bob', message: 'x', client_message_id: 'of-the-former' },
      '?wait=20000&until=delivered',
    )
    expect(sent.json).toMatchObject({ state: 'delivered' })
    job.running.signal('SIGTERM')
    expect(await job.running.ended).toMatchObject({ signal: 'SIGKILL' })
    killed += 1

    job.cli(['join', '-', '--name', 'job-again', '--ephemeral'], newToken())
    await job.start()
    await eventually('it is up', async () => (await job.health()) !== null)
    expect(await job.request({ method: 'GET', path: '/v1/outbox/of-the-former' })).toMatchObject({ status: 404 })
    expect(readFileSync(meshFilePath(job.home, meshSlug), 'utf8')).toContain('job-again')
  })
})
