import { createHash } from 'node:crypto'
import { blake3 } from '@noble/hashes/blake3.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DualDigest, digestBytes, digestStream } from './dual-digest.ts'

async function* chunks(...list: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* list
}

describe('two digests in one pass', () => {
  test('agree with each hash alone, however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 8 }), async (list) => {
        const bytes = Buffer.concat(list)
        const pair = await digestStream(chunks(...list))
        expect(pair.primary).toEqual({ algorithm: 'blake3', hex: Buffer.from(blake3(bytes)).toString('hex') })
        expect(pair.sha256.hex).toBe(createHash('sha256').update(bytes).digest('hex'))
        expect(pair.sizeBytes).toBe(bytes.length)
        expect(digestBytes(bytes)).toEqual(pair)
      }),
    )
  })

  test('with sha256 as the primary the bytes are hashed once, and both are the same', () => {
    const pair = digestBytes(Buffer.from('abc'), { primary: 'sha256' })
    expect(pair.primary).toBe(pair.sha256)
    expect(pair.sha256.hex).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  test('a chunk may be used again as soon as the next one is asked for', async () => {
    const buffer = Buffer.alloc(4)
    async function* reusing(): AsyncIterable<Uint8Array> {
      for (const word of ['abcd', 'efgh', 'ijkl']) {
        buffer.write(word)
        yield buffer
      }
    }
    expect(await digestStream(reusing())).toEqual(digestBytes(Buffer.from('abcdefghijkl')))
  })

  test.each([['text'], [[1, 2]], [null], [new Uint16Array(2)], [new ArrayBuffer(2)]])(
    'a chunk that is %j is refused',
    async (chunk) => {
      await expect(digestStream(chunks(chunk as unknown as Uint8Array))).rejects.toMatchObject({
        code: 'invalid_chunk',
      })
    },
  )

  test('an error of the source comes out as it is, and the source is closed', async () => {
    const failure = new Error('the disk is gone')
    let closed = false
    async function* failing(): AsyncIterable<Uint8Array> {
      try {
        yield Buffer.from('a')
        throw failure
      } finally {
        closed = true
      }
    }
    await expect(digestStream(failing())).rejects.toBe(failure)
    expect(closed).toBe(true)
  })

  test('an unknown algorithm is refused before the source is read', async () => {
    let read = false
    async function* source(): AsyncIterable<Uint8Array> {
      read = true
      yield Buffer.from('a')
    }
    await expect(digestStream(source(), { primary: 'md5' })).rejects.toMatchObject({ code: 'algorithm_unknown' })
    expect(read).toBe(false)
    expect(() => new DualDigest('md5')).toThrow()
  })
})

describe('an abort', () => {
  test('ends a digest whose source hangs, and tells the source', async () => {
    const controller = new AbortController()
    let told = false
    const hanging: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => controller.abort(new Error('enough'))),
        return: () => {
          told = true
          return Promise.resolve({ done: true, value: undefined })
        },
      }),
    }
    await expect(digestStream(hanging, { signal: controller.signal })).rejects.toThrow('enough')
    expect(told).toBe(true)
  })

  test('before the start reads nothing', async () => {
    let read = false
    async function* source(): AsyncIterable<Uint8Array> {
      read = true
      yield Buffer.from('a')
    }
    await expect(digestStream(source(), { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no')
    expect(read).toBe(false)
  })
})
