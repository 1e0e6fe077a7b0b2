import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readKeyFile, writeKeyFile } from './key-file.ts'
import { exportSeed, generateMemberKeys } from './keys.ts'

const keys = generateMemberKeys()
let directory: string
let path: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'claudemesh-key-file-'))
  path = join(directory, 'daemon', 'home', 'keypair.json')
  writeKeyFile(path, keys)
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

describe('keypair.json', () => {
  test('gives back the keys that were written', () => {
    const read = readKeyFile(path)
    for (const kind of ['signing', 'box'] as const) {
      expect(read[kind].publicKey).toBe(keys[kind].publicKey)
      expect(exportSeed(read[kind])).toEqual(exportSeed(keys[kind]))
    }
  })

  test('is readable by its owner alone, in a directory that is his alone', () => {
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
  })

  test('is replaced as a whole', () => {
    const next = generateMemberKeys()
    writeKeyFile(path, next)
    expect(readKeyFile(path).signing.publicKey).toBe(next.signing.publicKey)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('that others can read is refused, and the refusal says how to mend it', () => {
    chmodSync(path, 0o640)
    const error = errorOf(() => readKeyFile(path))
    expect(error.code).toBe('unsafe_permissions')
    expect(error.message).toContain('chmod 600')
  })

  test('is not written into a directory that others can read', () => {
    chmodSync(join(path, '..'), 0o755)
    expect(errorOf(() => writeKeyFile(path, keys)).code).toBe('unsafe_permissions')
  })

  test('that is missing is a fault of the configuration', () => {
    rmSync(path)
    expect(errorOf(() => readKeyFile(path)).code).toBe('config_invalid')
  })

  const other = generateMemberKeys()
  const damaged: { name: string; text: (file: Record<string, unknown>) => string }[] = [
    { name: 'is empty', text: () => '' },
    { name: 'is cut off', text: (file) => JSON.stringify(file).slice(0, -20) },
    { name: 'is no object', text: () => '[]' },
    { name: 'lacks a secret', text: ({ box_secret: _, ...rest }) => JSON.stringify(rest) },
    { name: 'has a member too many', text: (file) => JSON.stringify({ ...file, extra: 1 }) },
    { name: 'is of another version', text: (file) => JSON.stringify({ ...file, version: 2 }) },
    {
      name: 'holds a signing secret of another key',
      text: (file) => JSON.stringify({ ...file, signing_secret: exportSeed(other.signing).toString('base64url') }),
    },
    {
      name: 'holds a box key of another secret',
      text: (file) => JSON.stringify({ ...file, box_key: other.box.publicKey }),
    },
    {
      name: 'spells a secret with spare bits',
      text: (file) => JSON.stringify({ ...file, box_secret: `${'A'.repeat(42)}B` }),
    },
  ]
  for (const row of damaged) {
    test(`that ${row.name} is refused without a word of its content`, () => {
      const file = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
      writeFileSync(path, row.text(file))
      const error = errorOf(() => readKeyFile(path))
      expect(error.code).toBe('config_invalid')
      expect(error.message).toContain(path)
      expect(error.cause).toBeUndefined()
      const told = `${error.message} ${error.hint} ${JSON.stringify(error.data)}`
      for (const secret of [file['signing_secret'], file['box_secret']]) expect(told).not.toContain(secret)
    })
  }
})

function errorOf(run: () => unknown): MeshError {
  try {
    run()
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
  return expect.fail('nothing was thrown')
}
