import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openBlob } from './open-blob.ts'
import { type BlobSecret, newBlobSecret, sealBlob } from './seal-blob.ts'
import { blobNonceBytes, chunkBytes, sealedChunkBytes, sealedSize } from './stream.ts'

async function* source(bytes: Uint8Array, pieceBytes = 50_000): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes)
}

async function read(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const list: Uint8Array[] = []
  for await (const chunk of chunks) list.push(chunk)
  return Buffer.concat(list)
}

function seal(secret: BlobSecret, bytes: Uint8Array, offset = 0): Promise<Buffer> {
  const slice = (start: number) => source(bytes.subarray(start))
  return read(sealBlob({ secret, sizeBytes: bytes.length, read: slice, offset }))
}

/** What a blob opens to, from a byte of its content on. */
function opening(
  key: Uint8Array,
  blob: Uint8Array,
  o: { readonly offset?: number; readonly pieceBytes?: number } = {},
) {
  const { offset = 0, pieceBytes } = o
  return openBlob({ key, offset, read: (start) => source(blob.subarray(start), pieceBytes) })
}

const sizes = [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes, 3 * chunkBytes + 12_345]
const corrupt = { code: 'share_corrupt', status: 502 }

describe('a sealed blob', () => {
  test.each(sizes)('of %i bytes opens to them, and has the size that was foretold', async (size) => {
    const bytes = randomBytes(size)
    const secret = newBlobSecret()
    const blob = await seal(secret, bytes)
    expect(blob.length).toBe(sealedSize(size))
    expect((await read(opening(secret.key, blob, { pieceBytes: 777 }))).equals(bytes)).toBe(true)
  })

  test('of equal contents is another each time', async () => {
    const bytes = randomBytes(100)
    const [a, b] = [await seal(newBlobSecret(), bytes), await seal(newBlobSecret(), bytes)]
    expect(a.equals(b)).toBe(false)
    expect(newBlobSecret().key).toHaveLength(32)
  })

  test('goes on at any byte, reading only what is needed for it', async () => {
    const secret = newBlobSecret()
    for (const size of sizes) {
      const bytes = randomBytes(size)
      const blob = await seal(secret, bytes)
      const edges = [0, blobNonceBytes, blobNonceBytes + sealedChunkBytes, blobNonceBytes + 2 * sealedChunkBytes]
      const offsets = [...edges, blob.length].flatMap((edge) => [edge - 1, edge, edge + 1, edge + 5000])
      for (const offset of offsets.filter((offset) => offset >= 0 && offset <= blob.length)) {
        const starts: number[] = []
        const slice = (start: number) => {
          starts.push(start)
          return source(bytes.subarray(start))
        }
        const rest = await read(sealBlob({ secret, sizeBytes: size, read: slice, offset }))
        expect(rest.equals(blob.subarray(offset)), `${size} from ${offset}`).toBe(true)
        const firstChunk = Math.floor(Math.max(0, offset - blobNonceBytes) / sealedChunkBytes)
        expect(starts).toEqual(offset === blob.length ? [] : [firstChunk * chunkBytes])
      }
    }
  })

  test('is opened from any byte of its content on, reading only its beginning and what is needed for it', async () => {
    const secret = newBlobSecret()
    for (const size of sizes.filter((size) => size > 0)) {
      const bytes = randomBytes(size)
      const blob = await seal(secret, bytes)
      const edges = [1, chunkBytes, 2 * chunkBytes, size].flatMap((edge) => [edge - 1, edge, edge + 1])
      for (const offset of edges.filter((offset) => offset < size)) {
        const starts: number[] = []
        const from = (start: number) => {
          starts.push(start)
          return source(blob.subarray(start))
        }
        const rest = await read(openBlob({ key: secret.key, read: from, offset }))
        expect(rest.equals(bytes.subarray(offset)), `${size} from ${offset}`).toBe(true)
        const first = Math.floor(offset / chunkBytes)
        expect(starts).toEqual(first === 0 ? [0] : [0, blobNonceBytes + first * sealedChunkBytes])
      }
    }
  })

  test.each([-1, 0.5, sealedSize(10) + 1])('does not go on at %d', async (offset) => {
    await expect(seal(newBlobSecret(), randomBytes(10), offset)).rejects.toThrow(RangeError)
  })

  test.each([
    ['more', 3 * chunkBytes + 1],
    ['fewer', 3 * chunkBytes - 1],
    ['far fewer', 10],
    ['no', 0],
  ])('of a content that has %s bytes than was said is not ended', async (_, size) => {
    const secret = newBlobSecret()
    const given: Uint8Array[] = []
    const sealing = async () => {
      const read = () => source(randomBytes(size))
      for await (const part of sealBlob({ secret, sizeBytes: 3 * chunkBytes, read })) given.push(part)
    }
    await expect(sealing()).rejects.toMatchObject({ code: 'size_mismatch' })
    await expect(read(opening(secret.key, Buffer.concat(given)))).rejects.toMatchObject(corrupt)
  })
})

describe('a blob that was tampered with does not open', () => {
  const secret = newBlobSecret()
  const bytes = randomBytes(2 * chunkBytes + 100)
  const whole = seal(secret, bytes)
  const openAll = (blob: Uint8Array, key = secret.key) => read(opening(key, blob))
  const position = fc.nat({ max: sealedSize(bytes.length) - 1 })

  test('with any bit flipped', async () => {
    const blob = await whole
    await fc.assert(
      fc.asyncProperty(position, fc.nat(7), async (index, bit) => {
        const flipped = Buffer.from(blob)
        flipped.writeUInt8(flipped.readUInt8(index) ^ (1 << bit), index)
        await expect(openAll(flipped)).rejects.toMatchObject(corrupt)
      }),
      { numRuns: 60 },
    )
  })

  test('cut anywhere', async () => {
    const blob = await whole
    const edges = [0, 1, blobNonceBytes, blobNonceBytes + 16, blobNonceBytes + sealedChunkBytes, blob.length - 1]
    for (const length of edges) await expect(openAll(blob.subarray(0, length))).rejects.toMatchObject(corrupt)
    await fc.assert(
      fc.asyncProperty(position, async (length) => {
        await expect(openAll(blob.subarray(0, length))).rejects.toMatchObject(corrupt)
      }),
      { numRuns: 60 },
    )
  })

  test('with anything behind it', async () => {
    const blob = await whole
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (rest) => {
        await expect(openAll(Buffer.concat([blob, rest]))).rejects.toMatchObject(corrupt)
      }),
      { numRuns: 30 },
    )
    await expect(openAll(Buffer.concat([blob, blob.subarray(blobNonceBytes)]))).rejects.toMatchObject(corrupt)
  })

  test('with chunks at other places, left out or repeated', async () => {
    const blob = await whole
    const nonce = blob.subarray(0, blobNonceBytes)
    const [a, b, c] = [0, 1, 2].map((index) => {
      const start = blobNonceBytes + index * sealedChunkBytes
      return blob.subarray(start, start + sealedChunkBytes)
    })
    if (a === undefined || b === undefined || c === undefined) throw new Error('the blob has three chunks')
    for (const chunks of [[b, a, c], [a, c], [b, c], [c], [a, b], [a], [a, a, b, c], [a, b, b, c], [a, b, c, c]]) {
      await expect(openAll(Buffer.concat([nonce, ...chunks]))).rejects.toMatchObject(corrupt)
    }
    expect((await openAll(Buffer.concat([nonce, a, b, c]))).equals(bytes)).toBe(true)
  })

  test('under another key', async () => {
    await expect(openAll(await whole, newBlobSecret().key)).rejects.toMatchObject(corrupt)
  })

  test('and gives nothing that is not at its place before that is noticed', async () => {
    const blob = Buffer.from(await whole)
    blob.writeUInt8(blob.readUInt8(blob.length - 1) ^ 1, blob.length - 1)
    const given: Uint8Array[] = []
    const all = async () => {
      for await (const chunk of opening(secret.key, blob)) given.push(chunk)
    }
    await expect(all()).rejects.toMatchObject(corrupt)
    expect(Buffer.concat(given).equals(bytes.subarray(0, 2 * chunkBytes))).toBe(true)
  })
})

describe('a source', () => {
  const pieces = 64
  const pieceBytes = 100_000

  /** Counts what it was asked for, and writes into the same buffer each time. */
  function counting() {
    const state = { given: 0, closed: false }
    async function* give(): AsyncIterable<Uint8Array> {
      const buffer = Buffer.alloc(pieceBytes)
      try {
        for (; state.given < pieces; state.given += 1) yield buffer.fill(state.given)
      } finally {
        state.closed = true
      }
    }
    return { state, give }
  }

  test('is read as far as the reader comes, and may use its chunk again', async () => {
    const secret = newBlobSecret()
    const { state, give } = counting()
    const blob = sealBlob({ secret, sizeBytes: pieces * pieceBytes, read: give })
    let opened = 0
    for await (const chunk of openBlob({ key: secret.key, read: () => blob })) {
      for (const at of [0, chunk.length - 1]) expect(chunk[at]).toBe(Math.floor((opened + at) / pieceBytes))
      opened += chunk.length
      // One chunk is held back on either side, to know whether it is the last.
      expect(state.given * pieceBytes - opened).toBeLessThan(pieceBytes + 3 * chunkBytes)
    }
    expect(opened).toBe(pieces * pieceBytes)
  })

  test('is told when its reader stops', async () => {
    const { state, give } = counting()
    const secret = newBlobSecret()
    const blob = sealBlob({ secret, sizeBytes: pieces * pieceBytes, read: give })
    for await (const _ of openBlob({ key: secret.key, read: () => blob })) break
    expect(state.closed).toBe(true)
    expect(state.given).toBeLessThan(pieces)
  })
})
