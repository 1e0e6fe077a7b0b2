import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Certificate, limits, MeshError } from '@claudemesh/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { verifyChain } from './chain.ts'
import { foundMesh } from './founding.ts'
import { boxKeyId, openKeyArchive } from './key-archive.ts'
import { readKeyFile, writeKeyFile } from './key-file.ts'
import { exportSeed, generateMemberKeys, generateSigningKeyPair, type MemberKeys } from './keys.ts'
import { type MeshFile, readMeshFile, writeMeshFile } from './mesh-file.ts'
import { rotateMember } from './rotation.ts'
import { beginRotation, finishRotation, type RotationPaths } from './rotation-intent.ts'

const day = 86_400_000
const founded = Date.UTC(2026, 0, 1)
const now = founded + day
const root = generateSigningKeyPair()
const keys = generateMemberKeys()
const { mesh, chain } = foundMesh({
  slug: 'home',
  name: 'ada',
  meshId: '01JD8Z6K3V0000000000000000',
  now: founded,
  keys,
  root,
})
const file: MeshFile = {
  mesh,
  rootSeed: exportSeed(root),
  broker: { url: 'ws://127.0.0.1:7777/v1/ws', local: true },
  name: 'ada',
  memberId: keys.signing.publicKey,
  chain,
}
let directory: string
let paths: RotationPaths

beforeEach(() => {
  directory = join(scratchDirectory(), 'daemon')
  paths = pathsIn(directory)
  writeKeyFile(paths.keypair, keys)
  writeMeshFile(paths.mesh, file)
})

describe('a rotation', () => {
  test('gives the member new keys on the disk, and answers with them', () => {
    const newKeys = generateMemberKeys()
    const rotated = beginRotation(paths, { newKeys, now })
    expect(rotated).toEqual({ keys: newKeys, chain: readMeshFile(paths.mesh).chain, quarantined: null })
    expect(readKeyFile(paths.keypair).signing.publicKey).toBe(newKeys.signing.publicKey)
    expect(currentMember()).toMatchObject({ memberId: file.memberId, epoch: 1, boxKey: newKeys.box.publicKey })
  })

  test('changes nothing of the mesh but the chain', () => {
    const { chain: rotated } = beginRotation(paths, { newKeys: generateMemberKeys(), now })
    expect(readMeshFile(paths.mesh)).toEqual({ ...file, chain: rotated })
  })

  test('keeps the old box key for seven days, or as long as it is told', () => {
    beginRotation(paths, { newKeys: generateMemberKeys(), now })
    beginRotation(paths, { newKeys: generateMemberKeys(), now: now + 1, graceDays: 30 })
    expect(openKeyArchive(paths.archive, { now: now + 1 }).keys).toMatchObject([
      { epoch: 1, retiredAt: now + 1, expiresAt: now + 1 + 30 * day },
      { epoch: 0, keyId: boxKeyId(keys.box.publicKey), retiredAt: now, expiresAt: now + 7 * day },
    ])
  })

  test('leaves no intent and no other file behind', () => {
    beginRotation(paths, { newKeys: generateMemberKeys(), now })
    expect(readdirSync(directory).sort()).toEqual(['keypair-archive.json', 'keypair.json'])
    expect(finishRotation(paths)).toBeNull()
  })

  test('says where an archive that could not be used went', () => {
    writeFileSync(paths.archive, 'malformed', { mode: 0o600 })
    const { quarantined } = beginRotation(paths, { newKeys: generateMemberKeys(), now })
    expect(readFileSync(quarantined ?? '', 'utf8')).toBe('malformed')
    expect(openKeyArchive(paths.archive, { now }).keys).toMatchObject([{ epoch: 0 }])
  })

  test('does not take place when there are as many in the chain as there may be', () => {
    let last = { keys, chain }
    for (let epoch = 1; epoch <= limits.chainRotationsMax; epoch += 1) {
      const newKeys = generateMemberKeys()
      last = { keys: newKeys, chain: [...rotateMember({ ...last, newKeys, now: now + epoch })] }
    }
    writeKeyFile(paths.keypair, last.keys)
    writeMeshFile(paths.mesh, { ...file, chain: last.chain })
    const before = snapshot()
    const error = errorOf(() => beginRotation(paths, { newKeys: generateMemberKeys(), now: now + day }))
    expect(error.code).toBe('rotation_impossible')
    expect(error.message).toContain(`${limits.chainRotationsMax} rotations`)
    expect(error.hint).toContain('claudemesh daemon remint')
    expect(snapshot()).toEqual(before)
  })

  const refused: { name: string; code: string; prepare: () => void; graceDays?: number }[] = [
    { name: 'for a grace out of bounds', code: 'invalid_request', prepare: () => undefined, graceDays: 31 },
    { name: 'without keys', code: 'config_invalid', prepare: () => rmSync(paths.keypair) },
    { name: 'without a mesh', code: 'mesh_not_configured', prepare: () => rmSync(paths.mesh) },
    {
      name: 'of keys that are not those of the chain',
      code: 'config_invalid',
      prepare: () => writeKeyFile(paths.keypair, generateMemberKeys()),
    },
    { name: 'into an archive that others can read', code: 'unsafe_permissions', prepare: openArchiveToAll },
  ]
  for (const { name, code, prepare, graceDays } of refused) {
    test(`is refused ${name}, and nothing is written`, () => {
      prepare()
      const before = snapshot()
      const begin = () =>
        beginRotation(paths, { newKeys: generateMemberKeys(), now, ...(graceDays === undefined ? {} : { graceDays }) })
      expect(errorOf(begin).code).toBe(code)
      expect(snapshot()).toEqual(before)
    })
  }
})

// A file whose name is so long that there is no longer one for its temporary file can be read and not be replaced.
const long = 'a'.repeat(250)

describe('a rotation that cannot be written', () => {
  const unwritable: { name: string; change: (paths: RotationPaths) => RotationPaths }[] = [
    { name: 'to the archive', change: (from) => ({ ...from, archive: join(directory, long) }) },
    { name: 'as an intent', change: (from) => ({ ...from, intent: join(directory, long) }) },
    { name: 'to keypair.json', change: (from) => ({ ...from, keypair: move(from.keypair) }) },
  ]
  for (const { name, change } of unwritable) {
    test(`${name} has not taken place, now and at the next start`, () => {
      paths = change(paths)
      expect(() => beginRotation(paths, { newKeys: generateMemberKeys(), now })).toThrow(
        expect.objectContaining({ code: 'ENAMETOOLONG' }),
      )
      expect(finishRotation(paths)).toBeNull()
      expect(readKeyFile(paths.keypair).signing.publicKey).toBe(keys.signing.publicKey)
      expect(readMeshFile(paths.mesh).chain).toEqual(chain)
    })
  }

  test('to the mesh file any more takes place at the next start that can', () => {
    const good = paths
    paths = { ...paths, mesh: move(paths.mesh) }
    const newKeys = generateMemberKeys()
    const refusal = expect.objectContaining({ code: 'ENAMETOOLONG' })
    expect(() => beginRotation(paths, { newKeys, now })).toThrow(refusal)
    expect(() => finishRotation(paths)).toThrow(refusal)
    renameSync(paths.mesh, good.mesh)
    paths = good
    expect(finishRotation(paths)?.keys.signing.publicKey).toBe(newKeys.signing.publicKey)
    expect(currentMember()).toMatchObject({ epoch: 1, boxKey: newKeys.box.publicKey })
  })

  test('to the mesh file any more takes place before the next rotation', () => {
    const good = paths
    paths = { ...paths, mesh: move(paths.mesh) }
    expect(() => beginRotation(paths, { newKeys: generateMemberKeys(), now })).toThrow()
    renameSync(paths.mesh, good.mesh)
    paths = good
    beginRotation(paths, { newKeys: generateMemberKeys(), now: now + 1 })
    expect(currentMember()).toMatchObject({ epoch: 2 })
    expect(openKeyArchive(paths.archive, { now: now + 1 }).keys).toMatchObject([{ epoch: 1 }, { epoch: 0 }])
  })
})

describe('an intent that was left behind', () => {
  const newKeys = generateMemberKeys()
  const rotatedChain = rotateMember({ chain, keys, newKeys, now })

  test('is carried out, and the member is told who it is now', () => {
    leaveIntent()
    const rotated = finishRotation(paths)
    expect(rotated?.keys.box.publicKey).toBe(newKeys.box.publicKey)
    expect(rotated?.chain).toEqual(rotatedChain)
    expect(currentMember()).toMatchObject({ epoch: 1 })
    expect(existsSync(paths.intent)).toBe(false)
  })

  test('is carried out once', () => {
    leaveIntent()
    finishRotation(paths)
    expect(finishRotation(paths)).toBeNull()
  })

  test('keeps the old key from when the rotation was decided, however long ago that is', () => {
    leaveIntent()
    rmSync(paths.archive, { force: true })
    finishRotation(paths)
    expect(openKeyArchive(paths.archive, { now }).keys).toMatchObject([
      { keyId: boxKeyId(keys.box.publicKey), epoch: 0, retiredAt: now },
    ])
  })

  for (const hasNewKeys of [false, true]) {
    for (const hasNewChain of [false, true]) {
      test(`is carried out on ${hasNewKeys ? 'new' : 'old'} keys and the ${hasNewChain ? 'new' : 'old'} chain`, () => {
        leaveIntent()
        if (hasNewKeys) writeKeyFile(paths.keypair, newKeys)
        if (hasNewChain) writeMeshFile(paths.mesh, { ...file, chain: rotatedChain })
        expect(finishRotation(paths)?.chain).toEqual(rotatedChain)
        expect(currentMember()).toMatchObject({ epoch: 1 })
        expect(readKeyFile(paths.keypair).box.publicKey).toBe(newKeys.box.publicKey)
        expect(openKeyArchive(paths.archive, { now }).keys).toMatchObject([{ epoch: 0 }])
      })
    }
  }

  const foreign: { name: string; prepare: () => void }[] = [
    { name: 'other keys', prepare: () => writeKeyFile(paths.keypair, generateMemberKeys()) },
    {
      name: 'the box key of somebody else',
      prepare: () => writeKeyFile(paths.keypair, { ...keys, box: generateMemberKeys().box }),
    },
    {
      name: 'a chain that went on without it',
      prepare: () => {
        const others = rotateMember({ chain, keys, newKeys: generateMemberKeys(), now })
        writeMeshFile(paths.mesh, { ...file, chain: others })
      },
    },
    {
      name: 'another member',
      prepare: () => {
        const eve = generateMemberKeys()
        const other = foundMesh({ slug: 'home', name: 'eve', meshId: mesh.mesh_id, now: founded, keys: eve, root })
        writeMeshFile(paths.mesh, { ...file, name: 'eve', memberId: eve.signing.publicKey, chain: other.chain })
      },
    },
  ]
  for (const { name, prepare } of foreign) {
    test(`is not carried out on ${name}, and nothing is touched`, () => {
      leaveIntent()
      prepare()
      const before = snapshot()
      const error = errorOf(() => finishRotation(paths))
      expect(error).toMatchObject({ code: 'config_invalid', message: expect.stringContaining(paths.intent) })
      expect(snapshot()).toEqual(before)
    })
  }

  type Change = (intent: { keys: Record<string, unknown>; chain: Certificate[] }) => unknown
  const damaged: { name: string; change: Change }[] = [
    { name: 'that is no object', change: () => [] },
    { name: 'with a member too many', change: (intent) => ({ ...intent, extra: 1 }) },
    { name: 'without keys', change: ({ keys: _, ...rest }) => rest },
    { name: 'with one certificate', change: (intent) => ({ ...intent, chain: intent.chain.slice(1) }) },
    {
      name: 'with keys of another chain',
      change: (intent) => ({ ...intent, chain: rotateMember({ chain, keys, newKeys: generateMemberKeys(), now }) }),
    },
    {
      name: 'with a secret of another key',
      change: (intent) => ({
        ...intent,
        keys: { ...intent.keys, box_secret: exportSeed(keys.box).toString('base64url') },
      }),
    },
    { name: 'with a grace out of bounds', change: (intent) => ({ ...intent, grace_days: 31 }) },
  ]
  for (const { name, change } of damaged) {
    test(`${name} is refused without a word of its content`, () => {
      leaveIntent()
      const intent = JSON.parse(readFileSync(paths.intent, 'utf8'))
      writeFileSync(paths.intent, JSON.stringify(change(intent)))
      const before = snapshot()
      const error = errorOf(() => finishRotation(paths))
      expect(error.code).toBe('config_invalid')
      const told = `${error.message} ${error.hint} ${JSON.stringify(error.data)} ${error.cause}`
      for (const secret of Object.values(exportedSecrets(newKeys))) expect(told).not.toContain(secret)
      expect(snapshot()).toEqual(before)
    })
  }

  test('that others can read is refused', () => {
    leaveIntent()
    chmodSync(paths.intent, 0o640)
    expect(errorOf(() => finishRotation(paths)).code).toBe('unsafe_permissions')
  })

  test('is readable by its owner alone', () => {
    leaveIntent()
    expect(statSync(paths.intent).mode & 0o777).toBe(0o600)
  })

  /** What is on the disk when the rotation was decided and the process killed. */
  function leaveIntent(): void {
    const good = paths
    paths = { ...paths, mesh: move(paths.mesh) }
    expect(() => beginRotation(paths, { newKeys, now })).toThrow()
    renameSync(paths.mesh, good.mesh)
    paths = good
    writeKeyFile(paths.keypair, keys)
    writeMeshFile(paths.mesh, file)
  }
})

test('what an interrupted write left behind is removed at the next start, and nothing else', () => {
  const left = ['.keypair.json.a1b2c3d4e5f6.tmp', '.keypair-archive.json.00.tmp', '.rotation-intent.json.00.tmp']
  const kept = ['.outbox.db.00.tmp', 'keypair.json.tmp', '.keypair.json.swp']
  for (const name of [...left, ...kept]) writeFileSync(join(directory, name), 'a secret', { mode: 0o600 })
  expect(finishRotation(paths)).toBeNull()
  expect(readdirSync(directory).sort()).toEqual([...kept, 'keypair.json'].sort())
})

function pathsIn(below: string): RotationPaths {
  return {
    keypair: join(below, 'keypair.json'),
    archive: join(below, 'keypair-archive.json'),
    intent: join(below, 'rotation-intent.json'),
    mesh: join(below, '..', 'meshes', 'home.json'),
  }
}

function openArchiveToAll(): void {
  writeFileSync(paths.archive, '{}')
  chmodSync(paths.archive, 0o644)
}

/** Gives a file the long name. */
function move(path: string): string {
  const target = join(dirname(path), long)
  mkdirSync(dirname(target), { recursive: true })
  renameSync(path, target)
  return target
}

/** Every file and what is in it. */
function snapshot(): Record<string, string> {
  const directories = [directory, dirname(paths.mesh)]
  const files = directories.flatMap((path) => readdirSync(path).map((name) => join(path, name)))
  return Object.fromEntries(files.map((path) => [path, readFileSync(path, 'utf8')]))
}

function currentMember() {
  const { chain: current } = readMeshFile(paths.mesh)
  const verdict = verifyChain({ mesh, chain: current, now: now + day })
  return verdict.ok ? verdict.member : expect.fail(verdict.reason)
}

function exportedSecrets(pairs: MemberKeys): string[] {
  return [pairs.signing, pairs.box].map((pair) => exportSeed(pair).toString('base64url'))
}

function errorOf(run: () => unknown): MeshError {
  try {
    run()
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
  return expect.fail('nothing was thrown')
}
