/**
 * The power goes while commands write what a member is: its keys, its mesh, its rotation, its backup, and members that are
 * founded, invited or restored. What a command had
 * reported done is there after every cut; what it had not is there whole or not at all, and the next start needs nobody.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Outbox } from '../../apps/daemon/src/outbox/outbox.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { readKeyFile, readMeshFile } from '../../packages/identity/src/index.ts'
import { daemonPaths, meshFilePath } from '../../packages/protocol/src/index.ts'
import { meshSlug, TestMember, TestMesh } from '../support/mesh.ts'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import { sweep } from '../support/powerloss/sweep.ts'
import type { Trace } from '../support/powerloss/trace.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'

const random = seeded()
const passphrase = 'correct horse battery staple'
const waiting = 'in-the-backup'
/** Members that a command makes, by the names of their homes. */
const newHomes = ['carol', 'dave', 'restored'] as const

describe.skipIf(whyNotRecordable() !== null)(`a cut of the power under commands (seed ${random.seed})`, () => {
  let mesh: TestMesh
  let trace: Trace
  /** When each command had reported that it was done. */
  const done = new Map<string, bigint>()
  let signingKeyAfter = ''

  const report = (what: string) => done.set(what, process.hrtime.bigint())
  const wasDone = (what: string, before: bigint) => (done.get(what) ?? before) < before

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
    await mesh.kill()
    const recording = await Recording.start({ directory: mesh.directory, trace: `${mesh.directory}.trace` })
    mesh.moveTo(recording)
    const alice = mesh.member('alice')
    await mesh.broker.start()
    alice.cli(['mesh', 'create', 'second', '--name', 'alice', '--broker', mesh.broker.url])
    report('created')
    await alice.start()
    alice.cli(['daemon', 'rotate-keypair', '--mesh', meshSlug])
    report('rotated')
    const file = join(alice.home, 'copy.backup')
    alice.cli(['topic', 'subscribe', 'all', '--mesh', meshSlug])
    await mesh.broker.kill()
    await alice.send({ to: '#all', message: 'waits', client_message_id: waiting })
    alice.cli(['daemon', 'backup', '--out', file, '--with-outbox', '--mesh', meshSlug], `${passphrase}\n`)
    report('backed up')
    const { token } = JSON.parse(alice.cli(['invite', 'create', '--mesh', meshSlug, '--json'])) as { token: string }
    await mesh.kill()
    const home = (name: string) => {
      const member = new TestMember(name, join(mesh.directory, name))
      member.place = recording
      return member
    }
    home('carol').cli(['init', '--mesh', meshSlug, '--name', 'carol', '--broker', mesh.broker.url])
    report('carol')
    home('dave').cli(['join', '-', '--name', 'dave'], token)
    report('dave')
    home('restored').cli(['daemon', 'restore', '--in', file], passphrase)
    report('restored')
    mesh.moveTo(null)
    trace = await recording.end()
    signingKeyAfter = readKeyFile(alice.paths.keypair).signing.publicKey
  }, 120_000)

  afterAll(() => mesh.end())

  test('keeps keys and meshes whole, and what was reported done', async () => {
    const { images, violations } = await sweep({
      trace,
      seed: random.seed,
      out: join(memoryDirectory(), 'image'),
      look: async ({ directory, before }) => {
        const home = join(directory, 'alice')
        const found: string[] = []
        readMeshFile(meshFilePath(home, meshSlug))
        const { signing } = readKeyFile(daemonPaths(home, meshSlug).keypair)
        if (wasDone('rotated', before) && signing.publicKey !== signingKeyAfter) found.push('the rotation is lost')
        const second = meshFilePath(home, 'second')
        if (existsSync(second)) readMeshFile(second)
        if (existsSync(second)) readKeyFile(daemonPaths(home, 'second').keypair)
        else if (wasDone('created', before)) found.push('the new mesh is lost')
        for (const name of newHomes) found.push(...lookAtNewHome(directory, name, wasDone(name, before)))
        if (wasDone('backed up', before) && !existsSync(join(home, 'copy.backup'))) found.push('the backup is lost')
        return found
      },
    })
    console.log(
      `power cuts under commands: ${trace.points} points, ${images} images, ${done.size} commands, ` +
        `${violations.length} violations, seed ${random.seed}`,
    )
    expect(violations).toEqual([])
  }, 150_000)
})

/** With its mesh file a member is whole, whoever reported what: its keys are those of its certificate, its outbox is there. */
function lookAtNewHome(directory: string, name: (typeof newHomes)[number], wasDone: boolean): readonly string[] {
  const home = join(directory, name)
  const meshFile = meshFilePath(home, meshSlug)
  if (!existsSync(meshFile)) return wasDone ? [`the mesh of ${name} is lost`] : []
  const { keypair, outboxDatabase: path } = daemonPaths(home, meshSlug)
  const { memberId } = readMeshFile(meshFile)
  const found: string[] = []
  if (name !== 'restored') {
    if (readKeyFile(keypair).signing.publicKey !== memberId)
      found.push(`the keys of ${name} are those of somebody else`)
    return found
  }
  readKeyFile(keypair)
  const outbox = Outbox.open({ path, runtime: systemRuntime(), acceptBatchMax: 1 })
  if (outbox.counts().pending !== 1) found.push('the restored outbox is not that of the backup')
  outbox.close()
  return found
}
