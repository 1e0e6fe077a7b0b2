/** Files in pieces: what is durable is told, and the rest goes there and nowhere else. */
import assert from 'node:assert/strict'
import { formatContentAddress } from '../../identity/content-address.ts'
import { digestBytes } from '../../identity/dual-digest.ts'
import type { Registry } from '../../registry/registry.ts'
import { actor, add, assertViewsAgree, bytesOf, code, dayMs, hello, make, type RegistryCase, read } from './scenario.ts'

const place = { relativePath: 'a/large.bin', mediaType: 'application/octet-stream', actor }
const helloAddress = formatContentAddress(digestBytes(hello).primary)

function append(registry: Registry, uploadId: string, offset: number, ...chunks: readonly Uint8Array[]) {
  return registry.appendUpload(uploadId, { offset, source: bytesOf(...chunks) })
}

export const uploadsCases: readonly RegistryCase[] = [
  {
    name: 'a file that comes in pieces is the one that would have come at once',
    async run({ registry }) {
      const packageId = await make(registry)
      const made = await registry.createUpload(packageId, place)
      const { uploadId } = made
      assert.deepEqual([made.offset, made.sizeBytes, made.packageId], [0, null, packageId])
      assert.equal((await append(registry, uploadId, 0, hello.subarray(0, 5))).offset, 5)
      await assert.rejects(append(registry, uploadId, 0, hello), (error: unknown) => {
        assert.deepEqual((error as { data?: unknown }).data, { offset: 5 })
        return code('upload_offset_mismatch')(error)
      })
      await assert.rejects(append(registry, uploadId, 6, hello), code('upload_offset_mismatch'))
      await append(registry, uploadId, 5, hello.subarray(5, 6), hello.subarray(6))
      assert.equal((await registry.uploadStatus(uploadId)).offset, hello.length)

      assert.deepEqual(await registry.listUploads(packageId), [await registry.uploadStatus(uploadId)])

      const file = await registry.completeUpload(uploadId, { actor, annotations: { from: 'pieces' } })
      assert.deepEqual(await registry.completeUpload(uploadId, { actor }), file, 'asked again')
      assert.deepEqual((await registry.findFile(file.fileId)).annotations, { from: 'pieces' })
      assert.deepEqual(await registry.listUploads(packageId), [])
      assert.deepEqual([file.contentAddress, file.relativePath], [helloAddress, 'a/large.bin'])
      assert.deepEqual(await read((await registry.getFile(file.fileId)).body), hello)
      await assert.rejects(registry.uploadStatus(uploadId), code('upload_not_found'))
      await assert.rejects(append(registry, uploadId, hello.length, hello), code('upload_not_found'))
      assert.equal((await registry.getPackage(packageId)).fileCount, 1)
      await assertViewsAgree(registry)
    },
  },
  {
    name: 'a source that fails leaves what it gave, and the upload goes on from there',
    async run({ registry }) {
      const { uploadId } = await registry.createUpload(await make(registry), { ...place, sizeBytes: hello.length })
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield hello.subarray(0, 3)
        throw new Error('the network went away')
      }
      await assert.rejects(registry.appendUpload(uploadId, { offset: 0, source: failing() }), /the network went away/)
      assert.equal((await registry.uploadStatus(uploadId)).offset, 3)
      await assert.rejects(registry.completeUpload(uploadId, { actor }), code('upload_offset_mismatch'))
      await append(registry, uploadId, 3, hello.subarray(3))
      assert.equal((await registry.completeUpload(uploadId, { actor })).contentAddress, helloAddress)
    },
  },
  {
    name: 'bytes that are not what was announced end the upload',
    async run({ registry }) {
      const packageId = await make(registry)
      const short = await registry.createUpload(packageId, { ...place, sizeBytes: hello.length - 1 })
      await assert.rejects(append(registry, short.uploadId, 0, hello), code('size_mismatch'))
      await assert.rejects(registry.uploadStatus(short.uploadId), code('upload_not_found'))

      const expected = formatContentAddress(digestBytes(Buffer.from('other')).sha256)
      const other = await registry.createUpload(packageId, { ...place, expected })
      await append(registry, other.uploadId, 0, hello)
      await assert.rejects(registry.completeUpload(other.uploadId, { actor }), code('digest_mismatch'))
      await assert.rejects(registry.uploadStatus(other.uploadId), code('upload_not_found'))
      assert.equal((await registry.stats()).objects, 0)

      const sha256 = await registry.createUpload(packageId, place)
      await append(registry, sha256.uploadId, 0, hello)
      const announced = { actor, expectedSha256: '0'.repeat(64) }
      await assert.rejects(registry.completeUpload(sha256.uploadId, announced), code('digest_mismatch'))

      const right = formatContentAddress(digestBytes(hello).sha256)
      const third = await registry.createUpload(packageId, { ...place, expected: right })
      await append(registry, third.uploadId, 0, hello)
      assert.equal((await registry.completeUpload(third.uploadId, { actor })).contentAddress, right)
    },
  },
  {
    name: 'what could never become a file is refused before a byte is taken',
    async run({ registry }) {
      const packageId = await make(registry)
      await add(registry, packageId, place.relativePath)
      const refused = (o: object, expected: string) =>
        assert.rejects(registry.createUpload(packageId, { ...place, relativePath: 'b', ...o }), code(expected))
      await refused({ relativePath: place.relativePath }, 'duplicate_path')
      await refused({ relativePath: '../b' }, 'invalid_path')
      await refused({ sizeBytes: -1 }, 'invalid_request')
      await refused({ sizeBytes: 0.5 }, 'invalid_request')
      await refused({ sizeBytes: 2 ** 50 }, 'too_large')
      await refused({ expected: 'blake3:00' }, 'invalid_content_address')
      await registry.finalizePackage(packageId, { actor })
      await refused({}, 'package_not_open')
      await assert.rejects(registry.uploadStatus('../../etc/passwd'), code('upload_not_found'))
    },
  },
  {
    name: 'a path that was taken meanwhile keeps the upload, until it is free again',
    async run({ registry }) {
      const packageId = await make(registry)
      const { uploadId } = await registry.createUpload(packageId, place)
      await append(registry, uploadId, 0, hello)
      const taken = await add(registry, packageId, place.relativePath, Buffer.from('sooner'))
      await assert.rejects(registry.completeUpload(uploadId, { actor }), code('duplicate_path'))
      // It was said to be complete: what it has is all that it may have.
      await assert.rejects(append(registry, uploadId, 0, hello), code('upload_offset_mismatch'))
      await registry.removeFile(taken.fileId, { actor })
      assert.equal((await registry.completeUpload(uploadId, { actor })).contentAddress, helloAddress)
    },
  },
  {
    name: 'of two who send or complete at once one is told so, and whoever drops an upload ends both',
    async run({ registry }) {
      const { uploadId } = await registry.createUpload(await make(registry), place)
      const endless = async function* (): AsyncGenerator<Uint8Array> {
        yield hello
        await new Promise(() => undefined)
      }
      const sending = registry.appendUpload(uploadId, { offset: 0, source: endless() })
      const ended = assert.rejects(sending, code('upload_not_found'))
      await assert.rejects(append(registry, uploadId, 0, hello), code('upload_busy'))
      await assert.rejects(registry.completeUpload(uploadId, { actor }), code('upload_busy'))
      await registry.abortUpload(uploadId)
      await ended
      await assert.rejects(registry.abortUpload(uploadId), code('upload_not_found'))
    },
  },
  {
    name: 'an upload ends a day after its last byte, and seven days after it was begun',
    async run({ registry, clock }) {
      const packageId = await make(registry)
      const idle = await registry.createUpload(packageId, place)
      const kept = await registry.createUpload(packageId, { ...place, relativePath: 'kept' })
      for (let day = 1; day <= 7; day += 1) {
        clock.now += dayMs - 1
        if (day > 1) await assert.rejects(registry.uploadStatus(idle.uploadId), code('upload_not_found'))
        await append(registry, kept.uploadId, day - 1, Buffer.from('x'))
      }
      assert.equal(await registry.sweepUploads(), 1)
      clock.now += 7
      await assert.rejects(registry.completeUpload(kept.uploadId, { actor }), code('upload_not_found'))
      assert.equal(await registry.sweepUploads(), 1)
      assert.equal(await registry.sweepUploads(), 0)
    },
  },
  {
    name: 'as many uploads are open as may be, and a further one is refused',
    async run({ registry }) {
      const packageId = await make(registry)
      const create = (index: number) => registry.createUpload(packageId, { ...place, relativePath: `file-${index}` })
      const [first] = await Promise.all(Array.from({ length: 64 }, (_, index) => create(index)))
      await assert.rejects(create(64), code('too_many_requests'))
      await registry.abortUpload(first?.uploadId ?? '')
      await create(64)
    },
  },
]
