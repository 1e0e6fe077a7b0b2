import { decryptShort } from '@claudemesh/sealing'
import { ArtifactError } from '../artifact-error.ts'
import { ByteReader } from './byte-reader.ts'
import {
  associatedData,
  blobNonceBytes,
  chunkBytes,
  chunkNonce,
  payloadKey,
  sealedBytesBefore,
  sealedChunkBytes,
} from './stream.ts'

export interface OpenBlobOptions {
  /** As in `BlobSecret`. */
  readonly key: Uint8Array
  /** The blob from this byte on, to its end. Called once, and once more when its content is not read from the beginning. */
  readonly read: (start: number) => AsyncIterable<Uint8Array>
  /** The byte of the content to begin with; 0 unless a download goes on. */
  readonly offset?: number
}

/**
 * Opens a sealed blob as a stream, one chunk at a time. Every byte that is given is authentic and at its place; that there
 * are no more is known only at the end. So nothing of it may be used before the stream has ended without an error.
 *
 * @throws ArtifactError `share_corrupt`: not sealed with this key, changed, cut, reordered or extended; errors of the
 *   source as they are
 */
export async function* openBlob({ key, read, offset = 0 }: OpenBlobOptions): AsyncIterable<Uint8Array> {
  const first = Math.floor(offset / chunkBytes)
  let reader = new ByteReader(read(0))
  try {
    const nonce = await reader.read(blobNonceBytes)
    if (nonce.length < blobNonceBytes) throw corrupt('It ends within its beginning.')
    if (first > 0) {
      await reader.close()
      reader = new ByteReader(read(sealedBytesBefore(first)))
    }
    const skipped = offset % chunkBytes
    let isFirst = true
    for await (const chunk of openChunks(reader, { key: payloadKey(key, nonce), first })) {
      yield isFirst ? chunk.subarray(skipped) : chunk
      isFirst = false
    }
  } finally {
    await reader.close()
  }
}

/** @param o `first`: the number of the chunk that the reader begins with */
async function* openChunks(reader: ByteReader, { key, first }: { readonly key: Uint8Array; readonly first: number }) {
  for (let number = first, isLast = false; !isLast; number += 1) {
    const ciphertext = await reader.read(sealedChunkBytes)
    isLast = await reader.atEnd()
    const plaintext = decryptShort({ key, nonce: chunkNonce(number, isLast), associatedData, ciphertext })
    if (plaintext === null) throw corrupt('It was changed, or sealed with another key.')
    if (plaintext.length === 0 && number > 0) throw corrupt('It has an empty chunk at its end.')
    yield plaintext
  }
}

function corrupt(detail: string): ArtifactError {
  return new ArtifactError('share_corrupt', { detail: `The sealed blob is not whole. ${detail}` })
}
