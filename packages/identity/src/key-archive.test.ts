import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { scratchDirectory } from '../../../test/support/scratch-directory.ts'
import { archiveKey, boxKeyId, type KeyArchive, openKeyArchive, pruneKeyArchive } from './key-archive.ts'
import { exportSeed, generateBoxKeyPair } from './keys.ts'

const day = 86_400_000
const now = Date.UTC(2026, 0, 31, 12)
const keys = Array.from({ length: 12 }, generateBoxKeyPair)
let path: string

beforeEach(() => {
  path = join(scratchDirectory(), 'daemon', 'home', 'keypair-archive.json')
})

describe('an archived key', () => {
  test('opens late messages for seven days, and not a moment longer', () => {
    archive(0, now)
    expect(openKeyArchive(path, { now: now + 7 * day - 1 })).toMatchObject({
      keys: [{ epoch: 0, keyId: boxKeyId(keyOf(0).publicKey), retiredAt: now, expiresAt: now + 7 * day }],
      quarantined: null,
    })
    expect(openKeyArchive(path, { now: now + 7 * day }).keys).toEqual([])
  })

  test('comes back as the pair that it was', () => {
    archive(0, now)
    const [kept] = openKeyArchive(path, { now }).keys
    expect(kept?.box.publicKey).toBe(keyOf(0).publicKey)
    expect(kept && exportSeed(kept.box)).toEqual(exportSeed(keyOf(0)))
  })

  const graces = [
    { graceDays: 1 / 7, opensFor: 12_342_857 },
    { graceDays: 1, opensFor: day },
    { graceDays: 30, opensFor: 30 * day },
  ]
  for (const { graceDays, opensFor } of graces) {
    test(`with a grace of ${graceDays} days opens messages for as long`, () => {
      archiveKey(path, { key: keyOf(0), epoch: 0, now, graceDays })
      expect(openKeyArchive(path, { now: now + opensFor - 1 }).keys).toHaveLength(1)
      expect(openKeyArchive(path, { now: now + opensFor }).keys).toEqual([])
    })
  }

  test('without any grace leaves the archive at once', () => {
    archive(0, now)
    archive(1, now)
    expect(epochs(archiveKey(path, { key: keyOf(1), epoch: 1, now, graceDays: 0 }))).toEqual([0])
    expect(readFileSync(path, 'utf8')).not.toContain(secretOf(keyOf(1)))
  })

  for (const graceDays of [-1, 30.001, 365, Number.NaN, Number.POSITIVE_INFINITY]) {
    test(`with a grace of ${graceDays} days is refused, and nothing is written`, () => {
      const error = errorOf(() => archiveKey(path, { key: keyOf(0), epoch: 0, now, graceDays }))
      expect(error).toMatchObject({ code: 'invalid_request', data: { field: 'grace_days' } })
      expect(existsSync(path)).toBe(false)
    })
  }

  test('that is archived again begins its grace anew and is there once', () => {
    archive(0, now)
    archive(1, now + 1)
    archive(0, now + day)
    expect(epochs(openKeyArchive(path, { now: now + day }))).toEqual([0, 1])
    expect(openKeyArchive(path, { now: now + 8 * day - 1 }).keys).toMatchObject([{ epoch: 0 }])
  })
})

describe('the archive', () => {
  test('is empty when there is none, and is not made by looking', () => {
    expect(openKeyArchive(path, { now })).toEqual({ keys: [], quarantined: null })
    expect(pruneKeyArchive(path, { now })).toEqual({ keys: [], quarantined: null })
    expect(existsSync(path)).toBe(false)
  })

  test('keeps the eight keys that were retired last, the newest first', () => {
    for (const [epoch] of keys.entries()) archive(epoch, now + epoch)
    expect(epochs(openKeyArchive(path, { now: now + 20 }))).toEqual([11, 10, 9, 8, 7, 6, 5, 4])
    for (const gone of keys.slice(0, 4)) expect(readFileSync(path, 'utf8')).not.toContain(secretOf(gone))
  })

  test('keeps a key that was retired last although the clock was set back', () => {
    for (const [epoch] of keys.entries()) archive(epoch, now - epoch * 1000)
    expect(epochs(openKeyArchive(path, { now: now - 12_000 }))).toEqual([11, 10, 9, 8, 7, 6, 5, 4])
  })

  test('drops keys whose time has passed when another one comes', () => {
    archive(0, now)
    const { keys: kept } = archive(1, now + 8 * day)
    expect(kept).toMatchObject([{ epoch: 1 }])
    expect(readFileSync(path, 'utf8')).not.toContain(secretOf(keyOf(0)))
  })

  test('takes keys whose time has passed off the disk when it is pruned, and writes nothing otherwise', () => {
    archive(0, now)
    archive(1, now + day)
    const before = statSync(path).ino
    expect(epochs(pruneKeyArchive(path, { now: now + 7 * day - 1 }))).toEqual([1, 0])
    expect(statSync(path).ino).toBe(before)
    expect(epochs(pruneKeyArchive(path, { now: now + 7 * day }))).toEqual([1])
    expect(readFileSync(path, 'utf8')).not.toContain(secretOf(keyOf(0)))
    expect(epochs(pruneKeyArchive(path, { now: now + 8 * day }))).toEqual([])
    expect(readFileSync(path, 'utf8')).not.toContain(secretOf(keyOf(1)))
  })

  test('is readable by its owner alone, in a directory that is his alone', () => {
    archive(0, now)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700)
    chmodSync(path, 0o640)
    for (const use of [openKeyArchive, pruneKeyArchive]) {
      expect(errorOf(() => use(path, { now })).code).toBe('unsafe_permissions')
    }
    expect(errorOf(() => archive(1, now)).code).toBe('unsafe_permissions')
    expect(existsSync(path)).toBe(true)
  })
})

describe('an archive that is malformed', () => {
  interface File {
    version: number
    keys: Record<string, unknown>[]
  }
  const change = (patch: Record<string, unknown>) => (file: File) =>
    JSON.stringify({ ...file, keys: [{ ...file.keys[0], ...patch }, ...file.keys.slice(1)] })
  const rows: { name: string; text: (file: File) => string }[] = [
    { name: 'is empty', text: () => '' },
    { name: 'is cut off', text: (file) => JSON.stringify(file).slice(0, -3) },
    { name: 'is not text', text: () => '\u0000\u0001' },
    { name: 'is no object', text: () => '[]' },
    { name: 'is of another version', text: (file) => JSON.stringify({ ...file, version: 2 }) },
    { name: 'has a member too many', text: (file) => JSON.stringify({ ...file, extra: 1 }) },
    {
      name: 'has two keys of one key_id',
      text: (file) => JSON.stringify({ ...file, keys: [...file.keys, file.keys[0]] }),
    },
    {
      name: 'has two secrets under one key_id',
      text: (file) => change({ key_id: file.keys[1]?.['key_id'] })(file),
    },
    {
      name: 'has nine keys',
      text: (file) => JSON.stringify({ ...file, keys: keys.slice(0, 9).map((_, epoch) => entryOf(epoch)) }),
    },
    { name: 'has a key_id of another key', text: change({ key_id: boxKeyId(keyOf(5).publicKey) }) },
    { name: 'has a secret of another key', text: change({ box_secret: secretOf(keyOf(5)) }) },
    { name: 'spells a secret with spare bits', text: change({ box_secret: `${'A'.repeat(42)}B` }) },
    { name: 'has a negative epoch', text: change({ epoch: -1 }) },
    { name: 'keeps a key for more than thirty days', text: change({ expires_at: now + 30 * day + 1 }) },
    { name: 'keeps a key for less than no time', text: change({ expires_at: now - 1 }) },
  ]
  for (const row of rows) {
    test(`because it ${row.name} is moved aside whole, and the archive begins anew`, () => {
      archive(0, now)
      archive(1, now)
      const text = row.text(JSON.parse(readFileSync(path, 'utf8')) as File)
      writeFileSync(path, text)
      const quarantined = `${path}.malformed-20260131T120000000Z`
      expect(openKeyArchive(path, { now })).toEqual({ keys: [], quarantined })
      expect(readFileSync(quarantined, 'utf8')).toBe(text)
      expect(statSync(quarantined).mode & 0o777).toBe(0o600)
      expect(openKeyArchive(path, { now })).toEqual({ keys: [], quarantined: null })
    })
  }

  test('does not keep another key from being archived, and is told of', () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, 'malformed', { mode: 0o600 })
    expect(archive(3, now)).toMatchObject({
      keys: [{ epoch: 3 }],
      quarantined: `${path}.malformed-20260131T120000000Z`,
    })
    expect(epochs(openKeyArchive(path, { now }))).toEqual([3])
  })

  test('takes the place of none that was moved aside at the same moment', () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const moved = ['first', 'second'].map((text) => {
      writeFileSync(path, text, { mode: 0o600 })
      return openKeyArchive(path, { now }).quarantined ?? ''
    })
    expect(moved.map((name) => readFileSync(name, 'utf8'))).toEqual(['first', 'second'])
  })
})

describe('an archive that cannot be written', () => {
  test('throws when its directory cannot be made, and makes nothing', () => {
    writeFileSync(join(path, '..', '..', '..', 'occupied'), '')
    const below = join(path, '..', '..', '..', 'occupied', 'keypair-archive.json')
    expect(() => archiveKey(below, { key: keyOf(0), epoch: 0, now })).toThrow()
  })

  test('throws when the temporary file cannot be made, and keeps what was there', () => {
    archive(0, now)
    // The name of the temporary file is longer than the archive's own, by more than a file name may still grow.
    const long = join(dirname(path), 'a'.repeat(250))
    expect(() => archiveKey(long, { key: keyOf(1), epoch: 1, now })).toThrow(
      expect.objectContaining({ code: 'ENAMETOOLONG' }),
    )
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    expect(epochs(openKeyArchive(path, { now }))).toEqual([0])
  })

  test('throws when something else is in its place, and leaves that alone', () => {
    archive(0, now)
    rmSync(path)
    mkdirSync(path, { mode: 0o700 })
    expect(() => archive(1, now)).toThrow(expect.objectContaining({ code: 'EISDIR' }))
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    rmdirSync(path)
  })
})

function archive(epoch: number, at: number): KeyArchive {
  return archiveKey(path, { key: keyOf(epoch), epoch, now: at })
}

function keyOf(epoch: number) {
  return keys[epoch] ?? expect.fail(`there is no key ${epoch}`)
}

function secretOf(pair: ReturnType<typeof keyOf>): string {
  return exportSeed(pair).toString('base64url')
}

function entryOf(epoch: number): Record<string, unknown> {
  const box = keyOf(epoch)
  return {
    key_id: boxKeyId(box.publicKey),
    epoch,
    box_key: box.publicKey,
    box_secret: secretOf(box),
    retired_at: now,
    expires_at: now + day,
  }
}

function epochs(found: KeyArchive): number[] {
  return found.keys.map(({ epoch }) => epoch)
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
