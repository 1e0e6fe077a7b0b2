/** The data plane over the local backend: one pass over the bytes, and nobody gets a file that is not the one named. */
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, createReadStream, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  Backends,
  type ContentAddress,
  digestBytes,
  formatContentAddress,
  InProcessDataPlane,
  LocalBackend,
} from '@claudemesh/artifacts'
import { createIdSource } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

async function openPlane() {
  const root = join(scratchDirectory(), 'artifacts')
  const backend = await LocalBackend.open({
    backendId: 'local',
    root,
    now: Date.now,
    nextId: createIdSource(Date.now),
  })
  onTestFinished(() => backend.close())
  const backends = new Backends()
  backends.register(backend)
  return { plane: new InProcessDataPlane({ backends, backendIdDefault: 'local' }), backend, backends, root }
}

async function* source(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks
}

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

/** Without a comparison of millions of numbers one by one. */
function expectBytes(actual: Buffer, expected: Buffer): void {
  expect(actual.length).toBe(expected.length)
  expect(actual.equals(expected)).toBe(true)
}

const addressOf = (bytes: Uint8Array) => formatContentAddress(digestBytes(bytes).primary)

/** Replaces the bytes of a stored object behind the back of the store. */
function damage(root: string, address: ContentAddress, bytes: Uint8Array): void {
  const hex = address.slice('blake3:'.length)
  const path = join(root, 'blake3', hex.slice(0, 2), hex.slice(2, 4), hex)
  chmodSync(path, 0o600)
  writeFileSync(path, bytes)
}

describe('ingesting', () => {
  test.each([[0], [1], [65_536], [1_048_576], [1_048_577], [9_000_001]])(
    '%i bytes in pieces of every length: both digests, the size and a receipt',
    async (length) => {
      const { plane } = await openPlane()
      const bytes = randomBytes(length)
      const pieces: Buffer[] = []
      for (let start = 0, size = 1; start < length; start += size, size = (size * 7) % 900_001) {
        pieces.push(bytes.subarray(start, start + size))
      }
      const result = await plane.ingestStream(source(...pieces))
      expect(result.primary).toEqual(digestBytes(bytes).primary)
      expect(result.sha256.hex).toBe(createHash('sha256').update(bytes).digest('hex'))
      expect(result.receipt).toMatchObject({ contentAddress: addressOf(bytes), sizeBytes: length })
      expect(result.deduplicated).toBe(false)
      expectBytes(await read((await plane.serveObject(addressOf(bytes))).body), bytes)
    },
  )

  test('a source that uses its chunk again as soon as the next is asked for', async () => {
    const { plane } = await openPlane()
    const buffer = Buffer.alloc(300_000)
    async function* reusing(): AsyncIterable<Uint8Array> {
      for (let round = 0; round < 12; round += 1) yield buffer.fill(round)
    }
    const { primary } = await plane.ingestStream(reusing())
    const all = Buffer.concat(Array.from({ length: 12 }, (_, round) => Buffer.alloc(300_000, round)))
    expect(formatContentAddress(primary)).toBe(addressOf(all))
    expectBytes(await read((await plane.serveObject(addressOf(all))).body), all)
  })

  test('the same bytes again are deduplicated', async () => {
    const { plane } = await openPlane()
    await plane.ingestStream(source(Buffer.from('twice')))
    expect(await plane.ingestStream(source(Buffer.from('tw'), Buffer.from('ice')))).toMatchObject({
      deduplicated: true,
    })
  })

  test('under sha256 as the primary address, where it is asked for', async () => {
    const { plane } = await openPlane()
    const { primary, receipt } = await plane.ingestStream(source(Buffer.from('abc')), { primaryAlgorithm: 'sha256' })
    expect(primary.algorithm).toBe('sha256')
    expect(receipt.objectKey).toBe(`sha256/ba/78/${primary.hex}`)
  })

  const bytes = Buffer.from('what was announced')
  test.each([
    ['other bytes', { expected: addressOf(Buffer.from('other')) }, 'digest_mismatch'],
    ['fewer bytes', { sizeHint: bytes.length + 1 }, 'size_mismatch'],
    ['more bytes', { sizeHint: bytes.length - 1 }, 'size_mismatch'],
    ['no address', { expected: 'blake3:x' as ContentAddress }, 'invalid_content_address'],
    ['an unknown algorithm', { primaryAlgorithm: 'md5' }, 'algorithm_unknown'],
    ['an unknown backend', { backendId: 'tape' }, 'backend_unknown'],
  ])('%s than announced: nothing is published', async (_, options, code) => {
    const { plane, backend } = await openPlane()
    await expect(plane.ingestStream(source(bytes), options)).rejects.toMatchObject({ code })
    await expect(backend.head(addressOf(bytes))).rejects.toMatchObject({ code: 'object_not_found' })
  })

  test('a source without an end that was announced with one is stopped', async () => {
    const { plane } = await openPlane()
    let given = 0
    async function* endless(): AsyncIterable<Uint8Array> {
      for (;;) {
        given += 1
        yield Buffer.alloc(1000)
      }
    }
    await expect(plane.ingestStream(endless(), { sizeHint: 5000 })).rejects.toMatchObject({ code: 'size_mismatch' })
    expect(given).toBeLessThan(10)
  })

  test('what is no chunk, a failing source and an abort publish nothing', async () => {
    const { plane, backend } = await openPlane()
    const text = source('text' as unknown as Uint8Array)
    await expect(plane.ingestStream(text)).rejects.toMatchObject({ code: 'invalid_chunk' })
    const missing = createReadStream(join(scratchDirectory(), 'missing'))
    await expect(plane.ingestStream(missing)).rejects.toMatchObject({ code: 'ENOENT' })
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(plane.ingestStream(source(Buffer.from('a')), { signal })).rejects.toThrow('enough')
    const found = []
    for await (const object of backend.list()) found.push(object)
    expect(found).toEqual([])
  })

  test('a source that fails while nobody reads it yet fails the ingest, and nothing else', async () => {
    const { plane, backend } = await openPlane()
    const gone = () => new Readable({ read: () => undefined }).destroy(new Error('gone'))
    await expect(plane.ingestStream(gone())).rejects.toThrow('gone')
    await expect(backend.put(addressOf(Buffer.from('a')), gone())).rejects.toThrow('gone')
  })

  test('a disk that is full says so, publishes nothing, and takes smaller files afterwards', async () => {
    const root = join(scratchDirectory(), 'artifacts')
    const child = startChild('artifacts/children/put-objects.mjs', [root, '1', '3000000'], { fileBytesMax: 1_048_576 })
    const { code, stderr } = await child.exited
    expect(code).toBe(1)
    expect(stderr).toContain("code: 'insufficient_storage'")
    expect(child.lines).toEqual([])
  })
})

describe('serving', () => {
  test('a range is what was asked for', async () => {
    const { plane } = await openPlane()
    const bytes = randomBytes(3_000_000)
    await plane.ingestStream(source(bytes))
    const object = await plane.serveObject(addressOf(bytes), { range: { start: 1_500_000, end: 2_999_998 } })
    expect(object).toMatchObject({ size: 3_000_000, range: [1_500_000, 2_999_998] })
    expectBytes(await read(object.body), bytes.subarray(1_500_000, 2_999_999))
  })

  test.each([[10], [65_536], [65_537], [1_048_576], [2_500_000]])(
    'of %i bytes with one that is wrong the last 64 KiB are withheld',
    async (length) => {
      const { plane, root } = await openPlane()
      const bytes = randomBytes(length)
      const address = addressOf(bytes)
      await plane.ingestStream(source(bytes))
      const wrong = Buffer.from(bytes)
      wrong[0] = (wrong[0] ?? 0) ^ 1
      damage(root, address, wrong)
      let given = 0
      const reading = async () => {
        for await (const chunk of (await plane.serveObject(address)).body) given += chunk.length
      }
      await expect(reading()).rejects.toMatchObject({ code: 'object_corrupt' })
      expect(given).toBeLessThanOrEqual(Math.max(0, length - 65_536))
      expect((await read((await plane.serveObject(address, { verify: false })).body)).length).toBe(length)
    },
  )

  test('of a whole object nothing is withheld at the end', async () => {
    const { plane } = await openPlane()
    for (const length of [0, 1, 65_535, 65_536, 65_537, 1_114_112]) {
      const bytes = randomBytes(length)
      await plane.ingestStream(source(bytes))
      expectBytes(await read((await plane.serveObject(addressOf(bytes))).body), bytes)
    }
  })
})

describe('verifying', () => {
  test('says what is wrong, in words of the records', async () => {
    const { plane, root } = await openPlane()
    const bytes = randomBytes(10_000)
    const address = addressOf(bytes)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const missing = await plane.verifyObject(address)
    expect(missing).toEqual({ address, verified: false, mismatch: 'missing', actual: null })
    await plane.ingestStream(source(bytes))
    expect(await plane.verifyObject(address, { sizeBytes: 10_000, sha256 })).toMatchObject({
      verified: true,
      mismatch: null,
    })
    expect(await plane.verifyObject(address, { sha256: '0'.repeat(64) })).toMatchObject({ mismatch: 'sha256' })
    damage(root, address, bytes.subarray(1))
    expect(await plane.verifyObject(address, { sizeBytes: 10_000 })).toMatchObject({ mismatch: 'size' })
    expect(await plane.verifyObject(address)).toMatchObject({ verified: false, mismatch: 'primary' })
  })

  test('deleting and health go to the backend', async () => {
    const { plane } = await openPlane()
    await plane.ingestStream(source(Buffer.from('a')))
    expect(await plane.deleteObject(addressOf(Buffer.from('a')))).toEqual({ deleted: true })
    expect(await plane.backendHealth()).toMatchObject({ backendId: 'local', healthy: true })
  })
})

describe('the backends of a store', () => {
  test('are found by their id, and each id is taken once', async () => {
    const { backends, backend } = await openPlane()
    expect(backends.list()).toEqual(['local'])
    expect(backends.get('local')).toBe(backend)
    expect(() => backends.register(backend)).toThrow(expect.objectContaining({ code: 'backend_exists' }))
    expect(() => backends.get('tape')).toThrow(expect.objectContaining({ code: 'backend_unknown' }))
  })
})

test.skipIf(process.platform !== 'linux')(
  'a body that is ended before it was begun with leaves no file open',
  async () => {
    const { plane } = await openPlane()
    const address = formatContentAddress((await plane.ingestStream(source(Buffer.from('hello')))).primary)
    const before = readdirSync('/proc/self/fd').length
    for (let times = 0; times < 50; times += 1) {
      const served = await plane.serveObject(address, { verify: false, signal: AbortSignal.abort(new Error('enough')) })
      await expect(read(served.body)).rejects.toThrow('enough')
    }
    expect(readdirSync('/proc/self/fd').length - before).toBeLessThan(20)
  },
)
