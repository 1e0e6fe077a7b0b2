/** What may be put into a package, and under which path. */
import assert from 'node:assert/strict'
import { actor, add, assertViewsAgree, code, draft, hello, make, type RegistryCase, read } from './scenario.ts'

export const pathsCases: readonly RegistryCase[] = [
  {
    name: 'a path is there once: again it is duplicate_path with the file that is there, or takes its place',
    async run({ registry }) {
      const packageId = await make(registry)
      const first = await add(registry, packageId, 'a.txt')
      await assert.rejects(add(registry, packageId, 'a.txt', Buffer.from('other')), (error: unknown) => {
        const { data } = error as { readonly data: unknown }
        assert.deepEqual(data, { file_id: first.fileId, content_address: first.contentAddress })
        return code('duplicate_path')(error)
      })
      const second = await add(registry, packageId, 'a.txt', Buffer.from('other'), { replace: true })
      assert.equal(second.replacedFileId, first.fileId)
      assert.equal((await registry.findFile(first.fileId)).state, 'replaced')
      assert.deepEqual(await read((await registry.getFile(second.fileId)).body), Buffer.from('other'))
      const { fileCount, totalSizeBytes } = await registry.getPackage(packageId)
      assert.deepEqual([fileCount, totalSizeBytes], [1, 5])
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'paths that some file system takes for one collide, also with replace',
    async run({ registry }) {
      const packageId = await make(registry)
      await add(registry, packageId, 'Dir/Straße.txt')
      for (const path of ['dir/STRASSE.TXT', 'Dir', 'Dir/Straße.txt/below']) {
        await assert.rejects(add(registry, packageId, path, hello, { replace: true }), code('path_collision'))
      }
      await add(registry, packageId, 'Dir.txt')
      const posix = await make(registry, { pathPolicy: 'posix' })
      await add(registry, posix, 'readme')
      await add(registry, posix, 'README')
    },
  },
  {
    name: 'a removed file makes room, and its package counts it no more',
    async run({ registry }) {
      const packageId = await make(registry)
      const { fileId } = await add(registry, packageId, 'a')
      await registry.removeFile(fileId, { actor, reason: 'wrong' })
      await assert.rejects(registry.removeFile(fileId, { actor }), code('file_not_found'))
      assert.equal((await registry.getPackage(packageId)).fileCount, 0)
      await add(registry, packageId, 'a')
      assert.equal((await registry.listFiles(packageId)).items.length, 1)
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'paths and fields that cannot be are refused before a byte is read',
    async run({ registry }) {
      const packageId = await make(registry)
      const source = {
        // biome-ignore lint/correctness/useYield: it is not to be read
        async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
          assert.fail('the source was read')
        },
      }
      const place = { relativePath: 'a', mediaType: 'text/plain', actor, source }
      const refused = async (o: Partial<typeof place>, expected: string, reason?: string) =>
        assert.rejects(registry.ingestFile(packageId, { ...place, ...o }), code(expected, reason))
      await refused({ relativePath: '../etc/passwd' }, 'invalid_path', 'traversal')
      await refused({ relativePath: '/etc/passwd' }, 'invalid_path', 'absolute')
      await refused({ relativePath: 'a\u0000b' }, 'invalid_path', 'nul')
      await refused({ relativePath: 'CON' }, 'invalid_path', 'windows_reserved')
      await refused({ mediaType: 'Text/Plain; charset=utf-8' }, 'invalid_request')
      await refused({ actor: '' }, 'invalid_request')
      await refused({ annotations: { 'org.opencontainers.image.title': 'x' } } as object, 'annotation_reserved')
      await refused({ annotations: { key: 'v'.repeat(5000) } } as object, 'too_large')
      await refused({ expected: 'sha1:00' } as object, 'invalid_content_address', 'algorithm_unknown')
      assert.equal((await registry.getPackage(packageId)).fileCount, 0)
    },
  },
  {
    name: 'packages that cannot be are refused',
    async run({ registry }) {
      const refused = (o: object, expected: string) =>
        assert.rejects(registry.createPackage({ ...draft, ...o }), code(expected))
      await refused({ retentionClass: 'for-a-while' }, 'retention_class_unknown')
      await refused({ name: '' }, 'invalid_request')
      await refused({ name: 'n'.repeat(256) }, 'invalid_request')
      await refused({ artifactType: 'no media type' }, 'invalid_request')
      await refused({ pathPolicy: 'dos' }, 'invalid_request')
      await refused({ metadata: { half: 0.5 } }, 'not_canonical')
      await refused({ metadata: { long: 'x'.repeat(70_000) } }, 'too_large')
      await refused({ metadata: [] }, 'metadata_invalid')
      await refused({ metadataSchema: 'unknown@1' }, 'metadata_invalid')
      await refused({ idempotencyKey: 'with space' }, 'invalid_request')
      assert.deepEqual((await registry.listPackages()).items, [])
    },
  },
]
