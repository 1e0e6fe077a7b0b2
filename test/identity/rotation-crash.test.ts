/**
 * A rotation interrupted at every step of rotation-intent.ts: what the next start makes of it, whatever it was doing
 * when it was interrupted in its turn.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import {
  beginRotation,
  boxKeyId,
  exportSeed,
  finishRotation,
  generateMemberKeys,
  openKeyArchive,
  type RotationPaths,
  readKeyFile,
  readMeshFile,
  verifyChain,
} from '@claudemesh/identity'
import { meshFilePath } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { bundledChild } from '../support/child.ts'
import { foundHome, type TestHome } from '../support/home.ts'

/** In the order in which a rotation passes them. The first four files written: archive, intent, keys, mesh. */
const beforeDecision = [
  'atomic_file.before_rename:1',
  'atomic_file.renamed:1',
  'identity.rotate.archived',
  'atomic_file.before_rename:2',
]
const afterDecision = [
  'atomic_file.renamed:2',
  'identity.rotate.intended',
  'atomic_file.before_rename:3',
  'atomic_file.renamed:3',
  'identity.rotate.keys_replaced',
  'atomic_file.before_rename:4',
  'atomic_file.renamed:4',
  'identity.rotate.mesh_replaced',
  'identity.rotate.finished',
]
/** Of a start that has everything but the archive and the intent still to do. */
const whileFinishing = [
  'atomic_file.before_rename:1',
  'atomic_file.renamed:1',
  'identity.rotate.keys_replaced',
  'atomic_file.before_rename:2',
  'atomic_file.renamed:2',
  'identity.rotate.mesh_replaced',
  'identity.rotate.finished',
]

describe('a rotation killed before it was decided', () => {
  test.each(beforeDecision)('at %s has not taken place', (point) => {
    const host = foundHome()
    expect(rotate('begin', host, { crashAt: point }).signal).toBe('SIGKILL')
    finishRotation(pathsOf(host))
    expectWhole(host, 0)
    expectRotates(host, 1)
  })
})

describe('a rotation killed after it was decided', () => {
  test.each(afterDecision)('at %s has taken place when the next start is over', (point) => {
    const host = foundHome()
    expect(rotate('begin', host, { crashAt: point }).signal).toBe('SIGKILL')
    finishRotation(pathsOf(host))
    expectWhole(host, 1)
    expectArchived(host)
    expectRotates(host, 2)
  })

  test.each(whileFinishing)('has taken place when the start that finished it was killed at %s as well', (point) => {
    const host = foundHome()
    expect(rotate('begin', host, { crashAt: 'identity.rotate.intended' }).signal).toBe('SIGKILL')
    expect(rotate('finish', host, { crashAt: point }).signal).toBe('SIGKILL')
    finishRotation(pathsOf(host))
    expectWhole(host, 1)
    expectArchived(host)
    expectRotates(host, 2)
  })
})

test('a rotation that nothing interrupts passes each of these points once', () => {
  for (const point of ['atomic_file.renamed:5', 'identity.rotate.finished:2', 'identity.rotate.intended:2']) {
    const host = foundHome()
    expect(rotate('begin', host, { crashAt: point })).toMatchObject({ status: 0, stdout: 'epoch 1\n' })
    expect(rotate('finish', host)).toMatchObject({ status: 0, stdout: 'nothing to finish\n' })
  }
})

describe('a rotation for which the disk has no room', () => {
  const rows = [
    { name: 'for the archive', fileKibibytesMax: 0 },
    { name: 'for the intent', fileKibibytesMax: 1 },
  ]
  test.each(rows)('$name is refused, and has not taken place', ({ fileKibibytesMax }) => {
    const host = foundHome()
    const refused = rotate('begin', host, { fileKibibytesMax })
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain("code: 'insufficient_storage'")
    expect(rotate('finish', host)).toMatchObject({ status: 0, stdout: 'nothing to finish\n' })
    expectWhole(host, 0)
    expectRotates(host, 1)
  })

  test('tells nothing of the keys', () => {
    const host = foundHome()
    const { stderr } = rotate('begin', host, { fileKibibytesMax: 0 })
    const secrets = [host.keys.box, host.keys.signing].map((pair) => exportSeed(pair))
    for (const secret of secrets) {
      expect(stderr).not.toContain(secret.toString('base64url'))
      expect(stderr).not.toContain(secret.toString('hex'))
    }
  })
})

/** The member is in that epoch, everything that says so agrees, and nothing was left behind. */
function expectWhole(host: TestHome, epoch: number): void {
  const { mesh, chain, memberId } = readMeshFile(pathsOf(host).mesh)
  const keys = readKeyFile(host.paths.keypair)
  expect(verifyChain({ mesh, chain, now: Date.now() })).toMatchObject({
    ok: true,
    member: { memberId, epoch, signingKey: keys.signing.publicKey, boxKey: keys.box.publicKey },
  })
  expect(memberId).toBe(host.meshFile.memberId)
  const left = readdirSync(host.paths.directory).filter((name) => name !== 'keypair.json')
  expect(left.filter((name) => name !== 'keypair-archive.json')).toEqual([])
}

/** The old box key can still open what is on its way; the old signing key is nowhere. */
function expectArchived(host: TestHome): void {
  const { keys } = openKeyArchive(host.paths.keypairArchive, { now: Date.now() })
  expect(keys).toMatchObject([{ keyId: boxKeyId(host.keys.box.publicKey), epoch: 0 }])
  const secret = exportSeed(host.keys.signing).toString('base64url')
  for (const path of [host.paths.keypair, host.paths.keypairArchive]) {
    expect(readFileSync(path, 'utf8')).not.toContain(secret)
  }
}

function expectRotates(host: TestHome, epoch: number): void {
  beginRotation(pathsOf(host), { newKeys: generateMemberKeys(), now: Date.now() })
  expectWhole(host, epoch)
}

function pathsOf({ home, slug, paths }: TestHome): RotationPaths {
  return {
    keypair: paths.keypair,
    archive: paths.keypairArchive,
    intent: paths.rotationIntent,
    mesh: meshFilePath(home, slug),
  }
}

/** Runs `children/rotate.mjs` to its end. */
function rotate(
  verb: 'begin' | 'finish',
  host: TestHome,
  limits: { readonly crashAt?: string; readonly fileKibibytesMax?: number } = {},
) {
  const script = bundledChild('identity/children/rotate.mjs')
  const command = [process.execPath, script, verb, JSON.stringify(pathsOf(host)), String(Date.now())]
  const { crashAt = '', fileKibibytesMax = 'unlimited' } = limits
  return spawnSync('bash', ['-c', `ulimit -f ${fileKibibytesMax} && exec "$@"`, 'limited', ...command], {
    env: { ...process.env, CLAUDEMESH_CRASH_AT: crashAt },
    encoding: 'utf8',
  })
}
