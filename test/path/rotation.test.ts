/** New keys for a member in a mesh that goes on: nothing is lost, whatever interrupts it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import {
  generateMemberKeys,
  readKeyFile,
  readMeshFile,
  rotateMember,
  writeKeyFile,
  writeMeshFile,
} from '@claudemesh/identity'
import { type Identity, limits, meshFilePath, type OutboxDetail } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { requestAt } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { meshSlug, TestMember, TestMesh } from '../support/mesh.ts'

async function identityOf(member: TestMember): Promise<Identity> {
  return (await member.request({ method: 'GET', path: '/v1/identity' })).json as Identity
}

async function textsIn(member: TestMember): Promise<string[]> {
  return (await member.inbox()).map(({ message }) => message ?? '')
}

const delivered = '?wait=20000&until=delivered'

// Daemons are started many times over: generous, for a machine that does other things too.
describe('a rotation', { timeout: 180_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
  }, 60_000)
  afterAll(() => mesh.end())

  test('gives the member new keys under its old id, and messages go both ways as before', async () => {
    const before = await identityOf(alice)
    const said = JSON.parse(alice.cli(['daemon', 'rotate-keypair', '--json'])) as Record<string, unknown>
    expect(said).toMatchObject({ member_id: before.member_id, epoch: 1, quarantined: null })
    const after = await identityOf(alice)
    expect(after).toMatchObject({ member_id: before.member_id, name: 'alice', epoch: 1, chain_length: 2 })
    expect(after.signing_key).not.toBe(before.signing_key)
    expect(after.box_key).not.toBe(before.box_key)
    expect(after.archived_keys.map(({ epoch }) => epoch)).toEqual([0])
    expect(statSync(alice.paths.keypairArchive).mode & 0o777).toBe(0o600)
    expect(existsSync(alice.paths.rotationIntent)).toBe(false)

    await eventually('alice is connected again', async () => (await alice.health())?.link.connected)
    expect((await alice.send({ to: '@bob', message: 'with new keys' }, delivered)).json).toMatchObject({
      state: 'delivered',
    })
    expect((await bob.send({ to: '@alice', message: 'to new keys' }, delivered)).json).toMatchObject({
      state: 'delivered',
    })
    expect(await textsIn(bob)).toEqual(['with new keys'])
    expect(await textsIn(alice)).toEqual(['to new keys'])
  })

  test('leaves what was sealed to the old key readable', async () => {
    await alice.kill()
    const sent = await bob.send({ to: '@alice', message: 'to the old key' }, '?wait=20000&until=accepted')
    expect(sent.json).toMatchObject({ state: 'accepted' })
    await mesh.broker.kill()
    await alice.start()
    const { epoch } = await identityOf(alice)
    alice.cli(['daemon', 'rotate-keypair'])
    expect((await identityOf(alice)).epoch).toBe(epoch + 1)
    await mesh.broker.start()
    await eventually('the late message is there', async () => (await textsIn(alice)).includes('to the old key'), {
      withinMs: 120_000,
    })
  })

  test('is what makes it unreadable once the old key is gone from the archive', async () => {
    await alice.kill()
    const key = 'to-a-key-that-is-gone'
    await bob.send({ to: '@alice', message: 'too late', client_message_id: key }, '?wait=20000&until=accepted')
    await mesh.broker.kill()
    await alice.start()
    alice.cli(['daemon', 'rotate-keypair'])
    await alice.kill()
    rmSync(alice.paths.keypairArchive)
    await alice.start()
    await mesh.broker.start()
    await eventually(
      'bob is told so',
      async () => {
        const { receipts } = (await bob.request({ method: 'GET', path: `/v1/outbox/${key}` })).json as OutboxDetail
        return receipts.some(({ state }) => state === 'undeliverable')
      },
      { withinMs: 120_000 },
    )
    expect(await textsIn(alice)).not.toContain('too late')
  })

  test('that cannot keep the old key does not take place', async () => {
    alice.cli(['daemon', 'rotate-keypair'])
    const before = await identityOf(alice)
    const archive = readFileSync(alice.paths.keypairArchive)
    await alice.kill()
    await alice.start()
    obstruct(alice.paths.keypairArchive)
    const answer = await alice.request({ method: 'POST', path: '/v1/identity/rotate-keypair' })
    expect(answer).toMatchObject({ status: 500, json: { code: 'storage_failed' } })
    rmdirSync(alice.paths.keypairArchive)
    writeFileSync(alice.paths.keypairArchive, archive, { mode: 0o600 })
    expect((await identityOf(alice)).signing_key).toBe(before.signing_key)
    await alice.kill()
    await alice.start()
    expect((await identityOf(alice)).signing_key).toBe(before.signing_key)
    expect((await bob.send({ to: '@alice', message: 'still her' }, delivered)).json).toMatchObject({
      state: 'delivered',
    })
  })

  const crashes: readonly { readonly at: string; readonly rotated: boolean }[] = [
    { at: 'identity.rotate.archived', rotated: false },
    { at: 'identity.rotate.intended', rotated: true },
    { at: 'identity.rotate.keys_replaced', rotated: true },
    { at: 'identity.rotate.mesh_replaced', rotated: true },
    { at: 'identity.rotate.finished', rotated: true },
  ]
  for (const { at, rotated } of crashes) {
    test(`killed at ${at} ${rotated ? 'is finished by the next start' : 'never began'}`, async () => {
      const before = await identityOf(bob)
      await bob.start({ crashAt: at })
      await expect(bob.request({ method: 'POST', path: '/v1/identity/rotate-keypair' })).rejects.toThrow()
      await bob.running.ended
      await bob.start()
      const after = await identityOf(bob)
      expect(after.epoch).toBe(before.epoch + (rotated ? 1 : 0))
      expect(after.signing_key === before.signing_key).toBe(!rotated)
      expect((await alice.send({ to: '@bob', message: `after ${at}` }, delivered)).json).toMatchObject({
        state: 'delivered',
      })
      expect((await bob.send({ to: '@alice', message: `after ${at}` }, delivered)).json).toMatchObject({
        state: 'delivered',
      })
    })
  }

  test('is refused when peers would accept no more of them, before anything changes, with the way out', async () => {
    await bob.kill()
    const paths = { ...rotationPathsOf(bob), mesh: meshFilePath(bob.home, meshSlug) }
    rotateUntilEpoch(limits.chainRotationsMax, paths)
    await bob.start()
    const before = await identityOf(bob)
    expect(before).toMatchObject({ epoch: limits.chainRotationsMax, rotations_left: 0 })
    const files = Object.values(paths).filter((path) => existsSync(path))
    const contents = files.map((path) => readFileSync(path))
    const { status, stderr } = bob.run(['daemon', 'rotate-keypair'])
    expect(status).toBe(65)
    expect(stderr).toContain(`${limits.chainRotationsMax} rotations`)
    expect(stderr).toContain('claudemesh daemon remint')
    expect(Object.values(paths).filter((path) => existsSync(path))).toEqual(files)
    expect(files.map((path) => readFileSync(path))).toEqual(contents)
    expect(await identityOf(bob)).toEqual(before)
    await eventually('bob is connected', async () => (await bob.health())?.link.connected)
    expect((await alice.send({ to: '@bob', message: 'at the end of the chain' }, delivered)).json).toMatchObject({
      state: 'delivered',
    })
    expect((await bob.send({ to: '@alice', message: 'from the end of the chain' }, delivered)).json).toMatchObject({
      state: 'delivered',
    })
  })

  test('a malformed archive is moved aside at the start, and the status says so', async () => {
    await alice.kill()
    writeFileSync(alice.paths.keypairArchive, '{"version":1,"keys":[{}]}', { mode: 0o600 })
    await alice.start()
    const health = await alice.health()
    expect(health?.conditions.map(({ code }) => code)).toContain('key_archive_quarantined')
    const names = readdirSync(alice.paths.directory)
    expect(names.filter((name) => name.startsWith('keypair-archive.json.malformed-'))).toHaveLength(1)
    expect((await identityOf(alice)).archived_keys).toEqual([])
  })
})

describe('rotations of years', () => {
  let mesh: TestMesh
  const newcomers: TestMember[] = []
  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob', 'carol'])
  }, 60_000)
  afterAll(async () => {
    for (const member of newcomers) await member.kill()
    await mesh.end()
  })

  test('are believed by a peer that was away throughout, and by one that comes after them', async () => {
    const [alice, bob, carol] = [mesh.member('alice'), mesh.member('bob'), mesh.member('carol')]
    const { member_id: aliceId } = await identityOf(alice)
    await carol.kill()
    for (let epoch = 1; epoch <= 30; epoch += 1) {
      const answer = await alice.request({ method: 'POST', path: '/v1/identity/rotate-keypair' })
      expect(answer).toMatchObject({ status: 200, json: { epoch, member_id: aliceId } })
    }
    await eventually('alice is connected', async () => (await alice.health())?.link.connected)
    // Somebody who saw every step, or some of them, goes on as before.
    expect((await bob.send({ to: '@alice', message: 'from who was there' }, delivered)).json).toMatchObject({
      state: 'delivered',
    })

    await carol.start()
    const sent = await alice.send({ to: '@carol', message: 'to who was away' }, delivered)
    expect(sent.json).toMatchObject({ state: 'delivered' })
    const answered = await carol.send({ to: '@alice', message: 'from who was away' }, delivered)
    expect(answered.json).toMatchObject({ state: 'delivered' })

    const { token } = JSON.parse(alice.cli(['invite', 'create', '--json'])) as { token: string }
    const dave = new TestMember('dave', `${mesh.directory}/dave`)
    newcomers.push(dave)
    dave.cli(['join', '-', '--name', 'dave'], token)
    await dave.start()
    await dave.knows(['alice', 'bob', 'carol'])
    await Promise.all([alice, bob, carol].map((member) => member.knows(['dave'])))
    for (const [from, to] of [
      [dave, alice],
      [alice, dave],
      [carol, dave],
      [dave, bob],
    ] as const) {
      const said = `${from.name} to ${to.name}`
      expect((await from.send({ to: `@${to.name}`, message: said }, delivered)).json).toMatchObject({
        state: 'delivered',
      })
    }
    expect(await identityOf(alice)).toMatchObject({ member_id: aliceId, epoch: 30, chain_length: 31 })
    expect(await identityOf(dave)).toMatchObject({ chain_length: 33 })
    const metrics = await Promise.all([bob, carol, dave].map(ignoredOf))
    expect(metrics).toEqual([0, 0, 0])
  }, 180_000)
})

/** How many records of members a daemon has not believed. */
async function ignoredOf(member: TestMember): Promise<number> {
  const { text } = await member.request({ method: 'GET', path: '/v1/metrics' })
  const counts = [...text.matchAll(/^cm_daemon_members_ignored_total\S* (\d+)$/gm)].map(([, count]) => Number(count))
  return counts.reduce((sum, count) => sum + count, 0)
}

describe('a new local token', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(['alice'], { startMembers: false })
    await mesh.member('alice').start({ env: { CLAUDEMESH_IPC_TCP: 'on' } })
  }, 60_000)
  afterAll(() => mesh.end())

  test('is good at once, the one before for a while, and neither is printed', async () => {
    const alice = mesh.member('alice')
    const read = () => readFileSync(alice.paths.localToken, 'utf8').trim()
    const before = read()
    const printed = alice.cli(['daemon', 'rotate-token', '--json']) + alice.cli(['daemon', 'rotate-token'])
    const after = read()
    expect(after).not.toBe(before)
    expect(printed).toContain(alice.paths.localToken)
    for (const token of [before, after]) {
      expect(printed).not.toContain(token)
      expect(alice.running.output).not.toContain(token)
    }
    const port = Number(readFileSync(alice.paths.httpPort, 'utf8'))
    const statusWith = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` }
      return (await requestAt({ host: '127.0.0.1', port }, { method: 'GET', path: '/v1/health', headers })).status
    }
    expect(await statusWith(after)).toBe(200)
    expect(await statusWith(before)).toBe(200)
    expect(await statusWith('x'.repeat(43))).toBe(401)
  })
})

/** As that many rotations would leave the files of a member, each of which takes its time on the disk. */
function rotateUntilEpoch(epoch: number, paths: { readonly keypair: string; readonly mesh: string }): void {
  const file = readMeshFile(paths.mesh)
  let { chain } = file
  let keys = readKeyFile(paths.keypair)
  while (chain[0]?.kind === 'member' && chain[0].epoch < epoch) {
    const newKeys = generateMemberKeys()
    chain = rotateMember({ chain, keys, newKeys, now: Date.now() })
    keys = newKeys
  }
  writeKeyFile(paths.keypair, keys)
  writeMeshFile(paths.mesh, { ...file, chain })
}

/** The files that a rotation changes in the directory of a daemon. */
function rotationPathsOf({ paths }: TestMember) {
  return { keypair: paths.keypair, archive: paths.keypairArchive, intent: paths.rotationIntent }
}

/** A directory is where no file can be written, also for root. */
function obstruct(path: string): void {
  rmSync(path)
  mkdirSync(path, { mode: 0o700 })
}
