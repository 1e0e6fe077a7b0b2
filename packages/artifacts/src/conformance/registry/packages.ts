/** Packages from their making to their manifest. */
import assert from 'node:assert/strict'
import { formatContentAddress } from '../../identity/content-address.ts'
import { digestBytes } from '../../identity/dual-digest.ts'
import { decodeManifest, manifestDigest } from '../../manifest/manifest.ts'
import { actor, add, assertViewsAgree, code, make, type RegistryCase, read } from './scenario.ts'

export const packagesCases: readonly RegistryCase[] = [
  {
    name: 'three files go in, the package is finalized, and all of them come out verified',
    async run({ registry }) {
      const packageId = await make(registry, { metadata: { kind: 'test' }, annotations: { note: 'ü' } })
      const contents = new Map([
        ['a.txt', Buffer.from('a')],
        ['dir/b.txt', Buffer.alloc(200_000, 'b')],
        ['dir/empty', Buffer.alloc(0)],
      ])
      for (const [path, bytes] of contents) {
        const file = await add(registry, packageId, path, bytes)
        const { primary, sha256 } = digestBytes(bytes)
        assert.deepEqual(
          [file.contentAddress, file.sha256, file.sizeBytes, file.deduplicated],
          [formatContentAddress(primary), sha256.hex, bytes.length, false],
        )
      }
      const { manifestDigest: digest, isNew } = await registry.finalizePackage(packageId, { actor, verify: 'full' })
      assert.equal(isNew, true)
      const cbor = await registry.getManifestBytes(packageId, 'cbor')
      const manifest = decodeManifest(cbor)
      assert.equal(manifestDigest(manifest), digest)
      assert.equal(formatContentAddress(digestBytes(cbor).primary), digest)
      assert.deepEqual(
        manifest.files.map(({ relative_path }) => relative_path),
        [...contents.keys()],
      )
      assert.equal(
        JSON.parse(Buffer.from(await registry.getManifestBytes(packageId, 'json')).toString()).manifest_version,
        1,
      )
      const found = await registry.getPackage(packageId)
      assert.deepEqual(
        [found.status, found.fileCount, found.totalSizeBytes, found.manifestDigest],
        ['finalized', 3, 200_001, digest],
      )
      for (const { fileId, relativePath } of (await registry.listFiles(packageId)).items) {
        assert.deepEqual(await read((await registry.getFile(fileId)).body), contents.get(relativePath))
      }
      const verified = await registry.verify({ packageId, actor })
      assert.deepEqual(new Set(verified.map(({ outcome }) => outcome)), new Set(['verified']))
      assert.equal(verified.length, 3)
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'a finalized package takes no changes, and to finalize it again gives the same digest and no event',
    async run({ registry }) {
      const packageId = await make(registry)
      const { fileId } = await add(registry, packageId, 'a')
      const first = await registry.finalizePackage(packageId, { actor })
      const events = (await registry.auditLog()).length
      assert.deepEqual(await registry.finalizePackage(packageId, { actor }), { ...first, isNew: false })
      assert.equal((await registry.auditLog()).length, events)
      await assert.rejects(add(registry, packageId, 'b'), code('package_not_open'))
      await assert.rejects(registry.removeFile(fileId, { actor }), code('package_not_open'))
      await assert.rejects(registry.abortPackage(packageId, { actor }), code('package_not_open'))
    },
  },
  {
    name: 'an aborted package takes no changes and has no manifest',
    async run({ registry }) {
      const packageId = await make(registry)
      await add(registry, packageId, 'a')
      await registry.abortPackage(packageId, { actor, reason: 'a mistake' })
      await assert.rejects(add(registry, packageId, 'b'), code('package_not_open'))
      await assert.rejects(registry.finalizePackage(packageId, { actor }), code('package_not_open'))
      await assert.rejects(registry.getManifestBytes(packageId, 'cbor'), code('not_finalized'))
    },
  },
  {
    name: 'an empty package is finalized only when that is allowed',
    async run({ registry }) {
      const packageId = await make(registry)
      await assert.rejects(registry.finalizePackage(packageId, { actor }), code('package_empty'))
      await registry.finalizePackage(packageId, { actor, allowEmpty: true })
      assert.deepEqual(decodeManifest(await registry.getManifestBytes(packageId, 'cbor')).files, [])
    },
  },
  {
    name: 'what is not there has its code',
    async run({ registry }) {
      const missing = '01ARZ3NDEKTSV4RRFFQ69G5FAV'
      await assert.rejects(registry.getPackage(missing), code('package_not_found'))
      await assert.rejects(add(registry, missing, 'a'), code('package_not_found'))
      await assert.rejects(registry.finalizePackage(missing, { actor }), code('package_not_found'))
      await assert.rejects(registry.listFiles(missing), code('package_not_found'))
      await assert.rejects(registry.getFile(missing), code('file_not_found'))
      await assert.rejects(registry.removeFile(missing, { actor }), code('file_not_found'))
      await assert.rejects(registry.verify({ fileId: missing, actor }), code('file_not_found'))
      await assert.rejects(registry.releaseHold(missing, { actor, reason: 'r' }), code('hold_unknown'))
      await assert.rejects(registry.resolve({ address: `blake3:${'0'.repeat(64)}` }), code('file_not_found'))
      await assert.rejects(registry.resolve({ address: 'blake3:x' }), code('invalid_content_address', 'hex_length'))
    },
  },
]
