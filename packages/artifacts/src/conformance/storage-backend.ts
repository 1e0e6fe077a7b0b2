/**
 * What every storage backend does, as cases for any test runner: `for (const { name, run } of storageBackendCases)`, each
 * with a backend that holds nothing yet. They use `node:assert` and nothing of a runner, so that a backend outside of
 * this repository can be held to them.
 */
import assert from 'node:assert/strict'
import { type ContentAddress, formatContentAddress } from '../identity/content-address.ts'
import { digestBytes } from '../identity/dual-digest.ts'
import type { StorageBackend } from '../storage/spi.ts'

export interface ConformanceCase<Subject> {
  /** A sentence of the contract. */
  readonly name: string
  readonly run: (subject: Subject) => Promise<void>
}

const hello = Buffer.from('hello, artifacts')

function addressOf(bytes: Uint8Array): ContentAddress {
  return formatContentAddress(digestBytes(bytes).primary)
}

async function* source(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks
}

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function keep(backend: StorageBackend, bytes: Uint8Array): Promise<ContentAddress> {
  const address = addressOf(bytes)
  await backend.put(address, source(bytes))
  return address
}

async function addresses(backend: StorageBackend, after?: ContentAddress): Promise<string[]> {
  const found: string[] = []
  for await (const { address } of backend.list(after === undefined ? {} : { after })) found.push(address)
  return found
}

const rejected = (code: string) => (error: unknown) => (error as { readonly code?: string }).code === code

export const storageBackendCases: readonly ConformanceCase<StorageBackend>[] = [
  {
    name: 'what was put is what is got, and head tells its size',
    async run(backend) {
      const address = addressOf(hello)
      const receipt = await backend.put(address, source(hello.subarray(0, 5), Buffer.alloc(0), hello.subarray(5)))
      assert.equal(receipt.contentAddress, address)
      assert.equal(receipt.backendId, backend.backendId)
      assert.equal(receipt.sizeBytes, hello.length)
      assert.deepEqual([receipt.existed, receipt.healed], [false, false])
      assert.ok(!receipt.objectKey.startsWith('/') && !receipt.objectKey.includes('..'))
      const object = await backend.get(address)
      assert.deepEqual([object.size, object.range], [hello.length, null])
      assert.deepEqual(await read(object.body), hello)
      assert.equal((await backend.head(address)).size, hello.length)
    },
  },
  {
    name: 'a staged blob is published under the address that is known at its end',
    async run(backend) {
      const staged = await backend.stage()
      await Promise.all([staged.write(hello.subarray(0, 7)), staged.write(hello.subarray(7))])
      assert.equal(staged.sizeBytes, hello.length)
      await backend.put(addressOf(hello), staged)
      await staged.discard()
      assert.deepEqual(await read((await backend.get(addressOf(hello))).body), hello)
    },
  },
  {
    name: 'a staged blob that is kept can be put again, and replaces what is there when it is told to',
    async run(backend) {
      const address = addressOf(hello)
      const other = Buffer.from(hello).reverse()
      const staged = await backend.stage()
      await staged.write(hello)
      await backend.put(address, staged, { keep: true })
      await backend.delete(address)
      await backend.put(address, source(other))
      assert.equal((await backend.put(address, staged, { keep: true })).existed, true)
      assert.deepEqual(await read((await backend.get(address)).body), other)
      const receipt = await backend.put(address, staged, { keep: true, replace: true })
      assert.deepEqual([receipt.existed, receipt.healed], [false, true])
      assert.deepEqual(await read((await backend.get(address)).body), hello)
      await staged.discard()
      assert.equal((await backend.head(address)).size, hello.length)
    },
  },
  {
    name: 'a staged blob that is dropped leaves nothing',
    async run(backend) {
      const staged = await backend.stage()
      await staged.write(hello)
      await staged.discard()
      await staged.discard()
      await assert.rejects(backend.head(addressOf(hello)), rejected('object_not_found'))
      assert.deepEqual(await addresses(backend), [])
    },
  },
  {
    name: 'an empty object is an object',
    async run(backend) {
      const address = await keep(backend, Buffer.alloc(0))
      const object = await backend.get(address)
      assert.equal(object.size, 0)
      assert.deepEqual(await read(object.body), Buffer.alloc(0))
      await assert.rejects(backend.get(address, { start: 0 }), rejected('range_not_satisfiable'))
    },
  },
  {
    name: 'a second put of the same bytes says that they existed',
    async run(backend) {
      const address = await keep(backend, hello)
      const again = await backend.put(address, source(hello))
      assert.deepEqual([again.existed, again.healed], [true, false])
      assert.deepEqual(await addresses(backend), [address])
    },
  },
  {
    name: 'of many puts of one address at the same time all succeed, and there is one object',
    async run(backend) {
      const address = addressOf(hello)
      const receipts = await Promise.all(Array.from({ length: 16 }, () => backend.put(address, source(hello))))
      assert.ok(receipts.every(({ sizeBytes }) => sizeBytes === hello.length))
      assert.deepEqual(await addresses(backend), [address])
    },
  },
  {
    name: 'puts and deletes of one address at the same time never fail, and a put that is alone then lasts',
    async run(backend) {
      const address = addressOf(hello)
      for (let round = 0; round < 20; round += 1) {
        await Promise.all([
          backend.put(address, source(hello)),
          backend.delete(address),
          backend.put(address, source(hello)),
          backend.delete(address),
        ])
      }
      await backend.put(address, source(hello))
      assert.deepEqual(await read((await backend.get(address)).body), hello)
    },
  },
  {
    name: 'deleting tells whether there was an object',
    async run(backend) {
      const address = await keep(backend, hello)
      assert.deepEqual(await backend.delete(address), { deleted: true })
      assert.deepEqual(await backend.delete(address), { deleted: false })
      await assert.rejects(backend.get(address), rejected('object_not_found'))
      await assert.rejects(backend.head(address), rejected('object_not_found'))
    },
  },
  {
    name: 'a reader that has begun reads to the end, also when the object is deleted meanwhile',
    async run(backend) {
      const bytes = Buffer.alloc(3_000_000, 'x')
      const address = await keep(backend, bytes)
      const { body } = await backend.get(address)
      await backend.delete(address)
      assert.equal((await read(body)).length, bytes.length)
    },
  },
  {
    name: 'a range gives the bytes from its start to its end, both included',
    async run(backend) {
      const address = await keep(backend, hello)
      const rows: readonly [start: number, end: number | undefined, range: [number, number]][] = [
        [0, 0, [0, 0]],
        [0, 4, [0, 4]],
        [7, undefined, [7, hello.length - 1]],
        [hello.length - 1, undefined, [hello.length - 1, hello.length - 1]],
        [3, 1_000_000, [3, hello.length - 1]],
      ]
      for (const [start, end, range] of rows) {
        const object = await backend.get(address, end === undefined ? { start } : { start, end })
        assert.deepEqual(object.range, range)
        assert.equal(object.size, hello.length)
        assert.deepEqual(await read(object.body), hello.subarray(range[0], range[1] + 1))
      }
    },
  },
  {
    name: 'a range that is not in the object is refused',
    async run(backend) {
      const address = await keep(backend, hello)
      for (const range of [
        { start: hello.length },
        { start: hello.length + 7, end: hello.length + 9 },
        { start: 5, end: 4 },
        { start: -1 },
        { start: 0.5 },
        { start: Number.NaN },
        { start: 0, end: Number.POSITIVE_INFINITY },
      ]) {
        await assert.rejects(backend.get(address, range), rejected('range_not_satisfiable'))
      }
    },
  },
  {
    name: 'a text that is no address is refused by every operation',
    async run(backend) {
      for (const text of [
        '',
        '../../etc/passwd',
        'blake3:..',
        `blake3:${'/'.repeat(64)}`,
        `BLAKE3:${'0'.repeat(64)}`,
      ]) {
        const address = text as ContentAddress
        for (const operation of [
          () => backend.put(address, source(hello)),
          () => backend.get(address),
          () => backend.head(address),
          () => backend.delete(address),
        ]) {
          await assert.rejects(operation(), rejected('invalid_content_address'))
        }
      }
      assert.deepEqual(await addresses(backend), [])
    },
  },
  {
    name: 'a source that fails, or is told to stop, publishes nothing',
    async run(backend) {
      const failure = new Error('the source is gone')
      const failing = async function* (): AsyncIterable<Uint8Array> {
        yield hello.subarray(0, 4)
        throw failure
      }
      await assert.rejects(backend.put(addressOf(hello), failing()), failure)
      const controller = new AbortController()
      const stopping = async function* (): AsyncIterable<Uint8Array> {
        yield hello.subarray(0, 4)
        controller.abort(new Error('enough'))
        yield hello.subarray(4)
      }
      await assert.rejects(backend.put(addressOf(hello), stopping(), { signal: controller.signal }), /enough/)
      assert.deepEqual(await addresses(backend), [])
    },
  },
  {
    name: 'the list is in the order of addresses, and goes on after any of them',
    async run(backend) {
      const kept: string[] = []
      for (let index = 0; index < 40; index += 1) kept.push(await keep(backend, Buffer.from(`object ${index}`)))
      kept.sort()
      assert.deepEqual(await addresses(backend), kept)
      for (const index of [0, 17, 38, 39]) {
        assert.deepEqual(await addresses(backend, kept[index] as ContentAddress), kept.slice(index + 1))
      }
    },
  },
  {
    name: 'health says that the backend can be used',
    async run(backend) {
      const status = await backend.health()
      assert.deepEqual([status.backendId, status.healthy, status.readOnly], [backend.backendId, true, false])
      assert.equal(status.detail, null)
    },
  },
]
