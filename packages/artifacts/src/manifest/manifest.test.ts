import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sampleManifest } from '../../../../test/artifacts/sample-package.ts'
import { formatContentAddress } from '../identity/content-address.ts'
import { digestBytes } from '../identity/dual-digest.ts'
import { contentRoot } from './content-root.ts'
import { decodeManifest, encodeManifest, jcsManifest, manifestDigest } from './manifest.ts'
import type { Manifest } from './manifest-schema.ts'

type Json = Record<string, unknown>

function manifestOf(contents: Readonly<Record<string, string>>): Manifest {
  return sampleManifest(contents, { metadata: { run: { attempts: [1, 2], ['__proto__']: 'x' } } })
}

const sample = () => manifestOf({ 'a.txt': 'hello', 'b/c.txt': 'hello', 'b/é.txt': '', z: 'last' })

describe('a manifest', () => {
  test('is read as it was written, whatever its files', () => {
    const path = fc.stringMatching(/^[a-y]{1,6}(\/[a-y]{1,6}){0,2}$/)
    fc.assert(
      fc.property(fc.dictionary(path, fc.string(), { maxKeys: 6 }), (contents) => {
        const plain = Object.fromEntries(Object.entries(contents).map(([key, value]) => [`${key}.z`, value]))
        const manifest = manifestOf(plain)
        const bytes = encodeManifest(manifest)
        expect(decodeManifest(bytes)).toEqual(manifest)
        expect(Buffer.from(encodeManifest(decodeManifest(bytes)))).toEqual(Buffer.from(bytes))
        expect(JSON.parse(Buffer.from(jcsManifest(manifest)).toString())).toEqual(JSON.parse(JSON.stringify(manifest)))
      }),
    )
  })

  test('has as its digest the BLAKE3 of its bytes', () => {
    const manifest = sample()
    expect(manifestDigest(manifest)).toBe(formatContentAddress(digestBytes(encodeManifest(manifest)).primary))
  })

  test('has the root of its files, whatever it is called and whenever it was made', () => {
    const manifest = sample()
    const other = { ...manifest, package: { ...manifest.package, name: 'other', created_at: 0 } }
    expect(other.package.content_root).toBe(manifest.package.content_root)
    expect(manifestDigest(other)).not.toBe(manifestDigest(manifest))
    expect(contentRoot(manifestOf({ 'a.txt': 'hallo' }).files)).not.toBe(
      contentRoot(manifestOf({ 'a.txt': 'hello' }).files),
    )
  })
})

/** Changes one place, given as the path that errors name it by. */
function changed(path: string, change: (old: unknown) => unknown): Manifest {
  const manifest = structuredClone(sample()) as unknown as Json
  const steps = path
    .replace(/^\$\.?/, '')
    .split(/[.[\]]+/)
    .filter((step) => step !== '')
  const last = steps.pop() as string
  const place = steps.reduce<Json>((value, step) => value[step] as Json, manifest)
  const value = change(place[last])
  if (value === undefined) delete place[last]
  else place[last] = value
  return manifest as unknown as Manifest
}

const swap = (list: unknown) => [...(list as unknown[])].reverse()
const plusOne = (number: unknown) => (number as number) + 1

const refused: readonly (readonly [what: string, at: string, change: (old: unknown) => unknown, path: string])[] = [
  ['an unknown key', '$.package.extra', () => 1, '$.package.extra'],
  ['a missing key', '$.package.subject', () => undefined, '$.package'],
  ['a date as text', '$.package.created_at', () => '2026-01-01', '$.package.created_at'],
  ['no ULID', '$.package.package_id', () => 'x', '$.package.package_id'],
  ['an unknown path policy', '$.package.path_policy', () => 'any', '$.package.path_policy'],
  ['a media type with a parameter', '$.files[0].media_type', () => 'text/plain; a=b', '$.files[0].media_type'],
  ['a count that does not add up', '$.package.file_count', plusOne, '$.package.file_count'],
  ['a total that does not add up', '$.package.total_size_bytes', plusOne, '$.package.total_size_bytes'],
  ['another root', '$.package.content_root', () => `blake3:${'0'.repeat(64)}`, '$.package.content_root'],
  ['files in another order', '$.files', swap, '$.files[1].relative_path'],
  ['a path twice', '$.files[1].relative_path', () => 'a.txt', '$.files[1].relative_path'],
  ['a path out of the package', '$.files[0].relative_path', () => '../a', '$.files[0].relative_path'],
  ['a path under a file', '$.files[1].relative_path', () => 'a.txt/b', '$.files[1].relative_path'],
  ['another primary digest', '$.files[0].digest_primary', () => '0'.repeat(64), '$.files[0].digest_primary'],
  ['an unknown algorithm', '$.files[0].digest_algorithm', () => 'md5', '$.files[0].digest_primary'],
  ['another SHA-256 of equal content', '$.files[1].digest_sha256', () => '0'.repeat(64), '$.files[1].digest_sha256'],
  ['another size', '$.files[0].size_bytes', plusOne, '$.files[0].size_bytes'],
  ['no receipts', '$.storage_receipts', () => [], '$.files[0].content_address'],
  ['receipts in another order', '$.storage_receipts', swap, '$.storage_receipts[1]'],
  ['a path of the host', '$.storage_receipts[0].object_key', () => '/var/x', '$.storage_receipts[0].object_key'],
  ['a key that climbs', '$.storage_receipts[0].object_key', () => 'a/../b', '$.storage_receipts[0].object_key'],
  ['another class', '$.retention_summary.retention_class', () => 'x', '$.retention_summary.retention_class'],
  ['events backwards', '$.provenance.first_event_sequence', () => 8, '$.provenance.last_event_sequence'],
]

describe('a manifest that is not valid', () => {
  test.each(refused)('%s', (_, at, change, path) => {
    const manifest = changed(at, change)
    expect(() => encodeManifest(manifest)).toThrow(expect.objectContaining({ code: 'manifest_invalid', path }))
  })

  test('two spellings of one path', () => {
    const manifest = manifestOf({ 'A.txt': '1', 'a.txt': '2' })
    expect(() => encodeManifest(manifest)).toThrow(
      expect.objectContaining({ code: 'manifest_invalid', path: '$.files[1].relative_path' }),
    )
    const posix = { ...manifest, package: { ...manifest.package, path_policy: 'posix' as const } }
    expect(() => encodeManifest(posix)).not.toThrow()
  })

  test('a version of the future', () => {
    const future = { ...sample(), manifest_version: 2 } as unknown as Manifest
    expect(() => encodeManifest(future)).toThrow(expect.objectContaining({ code: 'manifest_version_unsupported' }))
  })

  test('bytes that are not canonical', () => {
    const bytes = Buffer.concat([encodeManifest(sample()), Buffer.from([0])])
    expect(() => decodeManifest(bytes)).toThrow(expect.objectContaining({ code: 'cbor_trailing' }))
  })
})
