import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { foundMesh } from './founding.ts'
import { exportSeed, generateMemberKeys, generateSigningKeyPair } from './keys.ts'
import { type MeshFile, readMeshFile, writeMeshFile } from './mesh-file.ts'

const root = generateSigningKeyPair()
const keys = generateMemberKeys()
const { mesh, chain } = foundMesh({
  slug: 'home',
  name: 'ada',
  meshId: '01JD8Z6K3V0000000000000000',
  now: 1_700_000_000_000,
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
let path: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'claudemesh-mesh-file-'))
  path = join(directory, 'meshes', 'home.json')
  writeMeshFile(path, file)
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

describe('the file of a mesh', () => {
  test('gives back what was written, with and without the root key', () => {
    expect(readMeshFile(path)).toEqual(file)
    writeMeshFile(path, { ...file, rootSeed: null })
    expect(readMeshFile(path)).toEqual({ ...file, rootSeed: null })
  })

  test('is snake_case JSON that a person can read', () => {
    expect(Object.keys(JSON.parse(readFileSync(path, 'utf8')) as object)).toEqual([
      'version',
      'mesh',
      'root_seed',
      'broker',
      'name',
      'member_id',
      'chain',
    ])
  })

  test('is readable by its owner alone', () => {
    expect(statSync(path).mode & 0o777).toBe(0o600)
    chmodSync(path, 0o604)
    expect(codeOf(() => readMeshFile(path))).toBe('unsafe_permissions')
  })

  test('that is missing means that there is no such mesh', () => {
    expect(codeOf(() => readMeshFile(join(directory, 'meshes', 'work.json')))).toBe('mesh_not_configured')
  })

  const other = generateSigningKeyPair()
  const rows: { name: string; change: Record<string, unknown> }[] = [
    { name: 'another version', change: { version: 2 } },
    { name: 'an unknown member', change: { extra: true } },
    { name: 'no chain', change: { chain: [] } },
    { name: 'no broker', change: { broker: undefined } },
    { name: 'a broker URL that is none', change: { broker: { url: 'localhost:7777', local: true } } },
    { name: 'a mesh record that its root did not sign', change: { mesh: { ...mesh, slug: 'work' } } },
    { name: 'a root seed of another key', change: { root_seed: exportSeed(other).toString('base64url') } },
    { name: 'a chain of another member', change: { member_id: other.publicKey } },
    { name: 'a name that is none', change: { name: 'Ada Lovelace' } },
  ]
  for (const row of rows) {
    test(`is refused with ${row.name}`, () => {
      const document = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
      writeFileSync(path, JSON.stringify({ ...document, ...row.change }))
      expect(codeOf(() => readMeshFile(path))).toBe('config_invalid')
    })
  }
})

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof MeshError) return error.code
    throw error
  }
  return expect.fail('nothing was thrown')
}
