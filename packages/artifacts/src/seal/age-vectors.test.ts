/** The STREAM vectors of age: what its payload is, and what is none. Their headers are age's own and are passed over. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { inflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { openBlob } from './open-blob.ts'
import { sealBlob } from './seal-blob.ts'
import { blobNonceBytes } from './stream.ts'

const directory = new URL('../../vectors/age/', import.meta.url)
const names = readdirSync(directory).filter((name) => name.startsWith('stream_'))

/**
 * age gives a full chunk before it looks whether anything follows. Here a chunk is given only when it is the last if and
 * only if nothing does, so that of these files one chunk less is given before they are refused.
 */
const givesLess = new Set([
  'stream_no_final_full',
  'stream_no_final_two_chunks_full',
  'stream_trailing_garbage_long',
  'stream_trailing_garbage_short',
  'stream_two_final_chunks',
  'stream_two_final_chunks_full',
  'stream_two_final_chunks_second',
])

interface Vector {
  readonly expect: string
  /** SHA-256 of what is opened before the end, or before the fault. */
  readonly payload: string | undefined
  readonly key: Buffer
  readonly blob: Buffer
}

/** Headers of the vector, an empty line, and a file of age: its header up to the line that begins with `---`, the payload. */
function readVector(name: string): Vector {
  const file = readFileSync(new URL(name, directory))
  const end = file.indexOf('\n\n')
  const headers = new Map(
    file
      .toString('utf8', 0, end)
      .split('\n')
      .map((line) => line.split(': ', 2) as [string, string]),
  )
  const rest = file.subarray(end + 2)
  const age = headers.get('compressed') === 'zlib' ? inflateSync(rest) : rest
  const mac = age.indexOf('\n--- ')
  return {
    expect: headers.get('expect') ?? '',
    payload: headers.get('payload'),
    key: Buffer.from(headers.get('file key') ?? '', 'hex'),
    blob: age.subarray(age.indexOf('\n', mac + 1) + 1),
  }
}

async function* source(bytes: Uint8Array, pieceBytes = bytes.length): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes)
}

async function openAll({ key, blob }: Vector): Promise<{ opened: Buffer; fault: unknown }> {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of openBlob({ key, read: (start) => source(blob.subarray(start), 10_007) }))
      chunks.push(chunk)
    return { opened: Buffer.concat(chunks), fault: null }
  } catch (fault) {
    return { opened: Buffer.concat(chunks), fault }
  }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe('a payload of age', () => {
  test('all vectors are here', () => {
    expect(names).toHaveLength(28)
  })

  test.each(names)('%s', async (name) => {
    const vector = readVector(name)
    const { opened, fault } = await openAll(vector)
    if (vector.expect !== 'success') {
      expect(fault).toMatchObject({ code: 'share_corrupt' })
      expect(sha256(opened) === (vector.payload ?? sha256(Buffer.alloc(0)))).toBe(!givesLess.has(name))
      return
    }
    expect(fault).toBe(null)
    expect(sha256(opened)).toBe(vector.payload)
    // Sealing is the exact inverse: with their nonce and key it writes their bytes.
    const secret = { key: vector.key, nonce: vector.blob.subarray(0, blobNonceBytes) }
    const sealed: Uint8Array[] = []
    for await (const part of sealBlob({ secret, sizeBytes: opened.length, read: () => source(opened) }))
      sealed.push(part)
    expect(Buffer.concat(sealed).equals(vector.blob)).toBe(true)
  })
})
