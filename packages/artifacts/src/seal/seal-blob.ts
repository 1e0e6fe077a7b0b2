import { randomBytes } from 'node:crypto'
import { encryptShort } from '@claudemesh/sealing'
import { ArtifactError } from '../artifact-error.ts'
import { ByteReader } from './byte-reader.ts'
import {
  associatedData,
  blobKeyBytes,
  blobNonceBytes,
  chunkBytes,
  chunkCount,
  chunkNonce,
  payloadKey,
  sealedChunkBytes,
  sealedSize,
} from './stream.ts'

/** What one blob is sealed with. Belongs to one content: two contents under one secret would show each other. */
export interface BlobSecret {
  /** 32 bytes, secret. */
  readonly key: Uint8Array
  /** 16 bytes; the blob begins with them. */
  readonly nonce: Uint8Array
}

/** A secret that was never used: equal contents do not look equal. */
export function newBlobSecret(): BlobSecret {
  return { key: randomBytes(blobKeyBytes), nonce: randomBytes(blobNonceBytes) }
}

export interface SealBlobOptions {
  readonly secret: BlobSecret
  /** Of the content. */
  readonly sizeBytes: number
  /** The content from this byte on, to its end. Called once, and not at all when only the end is asked for. */
  readonly read: (start: number) => AsyncIterable<Uint8Array>
  /** The byte of the blob to begin with; 0 unless an upload goes on. */
  readonly offset?: number
}

/**
 * Seals a content as a stream, one chunk at a time. With the same secret the same content gives the same blob, so that an
 * upload can go on at any byte of it: only the chunks from there on are read and encrypted.
 *
 * @throws ArtifactError `size_mismatch`: the content has another size than was said, and the end of the blob was not
 *   given; RangeError: the offset is not in the blob; errors of the source as they are
 */
export async function* sealBlob(o: SealBlobOptions): AsyncIterable<Uint8Array> {
  const { secret, sizeBytes, offset = 0 } = o
  if (!Number.isSafeInteger(offset) || offset < 0 || offset > sealedSize(sizeBytes)) {
    throw new RangeError('a blob is continued at one of its bytes')
  }
  if (offset < blobNonceBytes) yield secret.nonce.subarray(offset)
  const inChunks = Math.max(0, offset - blobNonceBytes)
  const first = Math.floor(inChunks / sealedChunkBytes)
  const skipped = inChunks % sealedChunkBytes
  // At the end of a last chunk that is full there is none to begin.
  if (offset === sealedSize(sizeBytes)) return
  const start = first * chunkBytes
  let isFirst = true
  for await (const chunk of sealChunks({ secret, sizeBytes, source: o.read(start), first })) {
    yield isFirst ? chunk.subarray(skipped) : chunk
    isFirst = false
  }
}

interface Sealing {
  readonly secret: BlobSecret
  readonly sizeBytes: number
  readonly source: AsyncIterable<Uint8Array>
  /** The number of the chunk that the source begins with. */
  readonly first: number
}

async function* sealChunks(o: Sealing): AsyncIterable<Uint8Array> {
  const key = payloadKey(o.secret.key, o.secret.nonce)
  const reader = new ByteReader(o.source)
  try {
    const last = chunkCount(o.sizeBytes) - 1
    for (let number = o.first; number <= last; number += 1) {
      const plaintext = await reader.read(chunkBytes)
      const isLast = number === last
      const expectedBytes = isLast ? o.sizeBytes - last * chunkBytes : chunkBytes
      if (plaintext.length !== expectedBytes || (isLast && !(await reader.atEnd()))) {
        throw new ArtifactError('size_mismatch', { detail: `The content does not have ${o.sizeBytes} bytes any more.` })
      }
      yield encryptShort({ key, nonce: chunkNonce(number, isLast), associatedData, plaintext })
    }
  } finally {
    await reader.close()
  }
}
