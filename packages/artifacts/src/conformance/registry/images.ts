/** Signatures of packages, and packages as image layouts. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importSigningKeyPair } from '@claudemesh/identity'
import type { Registry } from '../../registry/registry.ts'
import { type KeyStanding, verifyManifestEnvelope } from '../../sign/dsse.ts'
import { decodeEnvelope } from '../../sign/envelope-json.ts'
import { actor, add, assertViewsAgree, code, hello, make, type RegistryCase, read } from './scenario.ts'

const [one, two, three] = [1, 2, 3].map((seed) => importSigningKeyPair(Buffer.alloc(32, seed)))
if (one === undefined || two === undefined || three === undefined) throw new Error('three keys')

const importing = { producer: 'somebody', retentionClass: 'raw-evidence', actor }

/** A finalized package, one of whose contents is there twice. */
async function makeFinalized(registry: Registry): Promise<string> {
  const packageId = await make(registry, {
    metadata: { run: 7 },
    annotations: { 'com.example.team': 'red' },
    provenance: { tool: 'suite', commit: 'abc' },
  })
  await add(registry, packageId, 'a.txt')
  await add(registry, packageId, 'dir/b.txt')
  await add(registry, packageId, 'dir/empty', Buffer.alloc(0))
  await registry.finalizePackage(packageId, { actor })
  return packageId
}

/** Runs with a place for a layout, which goes afterwards. */
async function withPlace<T>(run: (directory: string) => Promise<T>): Promise<T> {
  const parent = await mkdtemp(join(tmpdir(), 'claudemesh-layout-'))
  try {
    return await run(join(parent, 'layout'))
  } finally {
    await rm(parent, { recursive: true, force: true })
  }
}

export const imagesCases: readonly RegistryCase[] = [
  {
    name: 'members sign what is finalized, each once, and each signature is judged alone',
    async run({ registry }) {
      const open = await make(registry)
      await assert.rejects(registry.sign(open, { keys: one, actor }), code('not_finalized'))
      await assert.rejects(
        registry.verifySignatures(open, () => 'trusted'),
        code('not_finalized'),
      )
      const packageId = await makeFinalized(registry)
      await assert.rejects(registry.getEnvelope(packageId), code('not_signed'))
      const { manifestDigest } = await registry.getPackage(packageId)
      const signed = await registry.sign(packageId, { keys: one, actor })
      assert.deepEqual(signed, { packageId, keyId: one.publicKey, manifestDigest, isNew: true })
      const events = (await registry.auditLog()).length
      assert.deepEqual(await registry.sign(packageId, { keys: one, actor }), { ...signed, isNew: false })
      assert.equal((await registry.auditLog()).length, events, 'a second time is no event')
      await registry.sign(packageId, { keys: two, actor: 'bob' })
      await registry.sign(packageId, { keys: three, actor: 'carol' })

      const standings = new Map<string, KeyStanding>([
        [one.publicKey, 'trusted'],
        [two.publicKey, 'revoked'],
      ])
      const lookUp = (keyId: string) => standings.get(keyId) ?? 'unknown'
      const judged = await registry.verifySignatures(packageId, lookUp)
      const expected = [
        { keyId: one.publicKey, verdict: 'valid' as const },
        { keyId: two.publicKey, verdict: 'revoked' as const },
        { keyId: three.publicKey, verdict: 'unknown_key' as const },
      ].sort((a, b) => (a.keyId < b.keyId ? -1 : 1))
      assert.deepEqual(judged, expected)
      const envelope = decodeEnvelope(await registry.getEnvelope(packageId))
      assert.deepEqual(envelope.payload, Buffer.from(await registry.getManifestBytes(packageId, 'cbor')))
      assert.deepEqual(await verifyManifestEnvelope(envelope, lookUp), expected)
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'a package that goes out as an image comes back with an equal content root, sealed, and says where it is from',
    async run({ registry }) {
      const packageId = await makeFinalized(registry)
      await registry.sign(packageId, { keys: one, actor })
      await withPlace(async (directory) => {
        const { digest } = await registry.exportOci(packageId, { directory, ref: 'v1' })
        const index = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as { manifests: unknown[] }
        assert.equal(index.manifests.length, 2, 'the image, and the signature that refers to it')
        const imported = await registry.importOci(directory, importing)
        const [only] = imported
        assert.deepEqual([imported.length, only?.importedFrom, only?.ref], [1, `oci:${digest}`, 'v1'])
        const [before, after] = await Promise.all([
          registry.getPackage(packageId),
          registry.getPackage(only?.packageId ?? ''),
        ])
        assert.deepEqual(
          [after.status, after.contentRoot, after.retentionClass, after.manifestDigest],
          ['finalized', before.contentRoot, 'raw-evidence', only?.manifestDigest],
        )
        assert.deepEqual(
          [after.name, after.producer, after.metadata, after.annotations],
          [before.name, before.producer, before.metadata, before.annotations],
        )
        assert.deepEqual(after.provenance, { ...before.provenance, imported_from: `oci:${digest}` })
        const found = await registry.resolve({ packageId: after.packageId, path: 'dir/b.txt' })
        assert.deepEqual(await read((await registry.getFile(found.fileId)).body), hello)
        assert.equal((await registry.stats()).objects, 2, 'each content once')
      })
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'a layout with one wrong byte, or that does not fit in, makes no package and no event',
    async run({ registry }) {
      const packageId = await makeFinalized(registry)
      await withPlace(async (directory) => {
        await assert.rejects(registry.exportOci(await make(registry), { directory }), code('not_finalized'))
        await registry.exportOci(packageId, { directory })
        const events = (await registry.auditLog()).length
        await assert.rejects(
          registry.importOci(directory, { ...importing, retentionClass: 'nowhere' }),
          code('retention_class_unknown'),
        )
        const signal = AbortSignal.abort(new Error('enough'))
        await assert.rejects(registry.importOci(directory, { ...importing, signal }), /enough/)
        const blobs = join(directory, 'blobs', 'sha256')
        const [first = ''] = await readdir(blobs)
        await truncate(join(blobs, first), 0)
        await assert.rejects(registry.importOci(directory, importing))
        assert.equal((await registry.auditLog()).length, events)
      })
    },
  },
]
