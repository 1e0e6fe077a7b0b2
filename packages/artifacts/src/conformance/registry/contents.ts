/** Bytes: once, whole, as announced. */
import assert from 'node:assert/strict'
import { formatContentAddress } from '../../identity/content-address.ts'
import { digestBytes } from '../../identity/dual-digest.ts'
import { decodeManifest } from '../../manifest/manifest.ts'
import { actor, add, assertViewsAgree, bytesOf, code, hello, make, type RegistryCase, read } from './scenario.ts'

export const contentsCases: readonly RegistryCase[] = [
  {
    name: 'equal bytes are kept once, over packages, and can be added without being sent',
    async run({ registry }) {
      const [one, two] = [await make(registry), await make(registry)]
      const first = await add(registry, one, 'a')
      const second = await add(registry, two, 'b')
      assert.deepEqual([first.deduplicated, second.deduplicated], [false, true])
      const third = await registry.addExisting(two, {
        contentAddress: (await registry.findFile(first.fileId)).contentAddress,
        relativePath: 'c',
        mediaType: 'text/plain',
        actor,
      })
      assert.deepEqual([third.deduplicated, third.sha256, third.sizeBytes], [true, first.sha256, hello.length])
      const stats = await registry.stats()
      assert.deepEqual(
        [stats.objects, stats.physicalBytes, stats.logicalBytes, stats.unreferencedBytes],
        [1, hello.length, 3 * hello.length, 0],
      )
      const unknown = formatContentAddress(digestBytes(Buffer.from('nowhere')).primary)
      await assert.rejects(
        registry.addExisting(two, { contentAddress: unknown, relativePath: 'd', mediaType: 'text/plain', actor }),
        code('object_not_found'),
      )
    },
  },
  {
    name: 'bytes that are not what was announced leave nothing behind',
    async run({ registry }) {
      const packageId = await make(registry)
      const other = digestBytes(Buffer.from('other'))
      const place = { relativePath: 'a', mediaType: 'text/plain', actor }
      const refused = (o: object, expected: string) =>
        assert.rejects(registry.ingestFile(packageId, { ...place, source: bytesOf(hello), ...o }), code(expected))
      await refused({ expected: formatContentAddress(other.primary) }, 'digest_mismatch')
      await refused({ sizeHint: hello.length + 1 }, 'size_mismatch')
      await refused({ sizeHint: hello.length - 1 }, 'size_mismatch')
      assert.equal((await registry.stats()).objects, 0)
      // Known only when the bytes are stored: they are garbage then.
      await refused({ expectedSha256: other.sha256.hex }, 'digest_mismatch')
      assert.equal((await registry.getPackage(packageId)).fileCount, 0)
      assert.equal((await registry.stats()).unreferencedBytes, hello.length)
    },
  },
  {
    name: 'a source that fails, or a caller who gives up, changes nothing',
    async run({ registry }) {
      const packageId = await make(registry)
      const place = { relativePath: 'a', mediaType: 'text/plain', actor }
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield hello
        throw new Error('the network went away')
      }
      await assert.rejects(registry.ingestFile(packageId, { ...place, source: failing() }), /the network went away/)
      const abort = new AbortController()
      const endless = async function* (): AsyncGenerator<Uint8Array> {
        for (;;) {
          yield hello
          abort.abort(new Error('the caller has gone'))
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      await assert.rejects(
        registry.ingestFile(packageId, { ...place, source: endless(), signal: abort.signal }),
        /the caller has gone/,
      )
      assert.equal((await registry.stats()).objects, 0)
      assert.equal((await registry.getPackage(packageId)).fileCount, 0)
    },
  },
  {
    name: 'ranges are served as they are asked for',
    async run({ registry }) {
      const packageId = await make(registry)
      const { fileId } = await add(registry, packageId, 'a')
      const part = await registry.getFile(fileId, { range: { start: 7, end: 15 } })
      assert.deepEqual([part.range, part.size, (await read(part.body)).toString()], [[7, 15], 16, 'artifacts'])
      await assert.rejects(registry.getFile(fileId, { range: { start: 16 } }), code('range_not_satisfiable'))
    },
  },
  {
    name: 'many files that come at once are all there, each with its outcome',
    async run({ registry }) {
      const packageId = await make(registry)
      const files = Array.from({ length: 40 }, (_, index) => ({
        relativePath: `file-${index % 39}`,
        mediaType: 'text/plain',
        actor,
        source: bytesOf(Buffer.from(`content ${index}`)),
      }))
      const outcomes = await registry.ingestMany(packageId, files)
      const failed = outcomes.filter(({ status }) => status === 'rejected')
      assert.equal(failed.length, 1)
      assert.ok(failed.every((outcome) => outcome.status === 'rejected' && code('duplicate_path')(outcome.reason)))
      assert.equal((await registry.getPackage(packageId)).fileCount, 39)
      await registry.finalizePackage(packageId, { actor })
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'ingest and finalize that race come in one order or the other',
    async run({ registry }) {
      for (let round = 0; round < 5; round += 1) {
        const packageId = await make(registry)
        await add(registry, packageId, 'first')
        const [ingested, finalized] = await Promise.allSettled([
          add(registry, packageId, 'second', Buffer.from(`round ${round}`)),
          registry.finalizePackage(packageId, { actor }),
        ])
        assert.equal(finalized.status, 'fulfilled')
        const { files } = decodeManifest(await registry.getManifestBytes(packageId, 'cbor'))
        if (ingested.status === 'rejected') code('package_not_open')(ingested.reason)
        assert.equal(files.length, ingested.status === 'fulfilled' ? 2 : 1)
      }
      await assertViewsAgree(registry)
    },
  },
]
