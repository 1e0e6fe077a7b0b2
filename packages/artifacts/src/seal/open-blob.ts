import { decryptShort } from '@claudemesh/sealing'
import { ArtifactError } from '../artifact-error.ts'
import { ByteReader } from './byte-reader.ts'
import { associatedData, blobNonceBytes, chunkNonce, payloadKey, sealedChunkBytes } from './stream.ts'

/**
 * Opens a sealed blob as a stream, one chunk at a time. Every byte that is given is authentic and at its place; that there
 * are no more is known only at the end. So nothing of it may be used before the stream has ended without an error.
 *
 * @param key as in `BlobSecret`
 * @throws ArtifactError `share_corrupt`: not sealed with this key, changed, cut, reordered or extended; errors of the
 *   source as they are
 */
export async function* openBlob(key: Uint8Array, source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = new ByteReader(source)
  try {
    const nonce = await reader.read(blobNonceBytes)
    if (nonce.length < blobNonceBytes) throw corrupt('It ends within its beginning.')
    const chunkKey = payloadKey(key, nonce)
    for (let number = 0, isLast = false; !isLast; number += 1) {
      const ciphertext = await reader.read(sealedChunkBytes)
      isLast = await reader.atEnd()
      const plaintext = decryptShort({ key: chunkKey, nonce: chunkNonce(number, isLast), associatedData, ciphertext })
      if (plaintext === null) throw corrupt('It was changed, or sealed with another key.')
      if (plaintext.length === 0 && number > 0) throw corrupt('It has an empty chunk at its end.')
      yield plaintext
    }
  } finally {
    await reader.close()
  }
}

function corrupt(detail: string): ArtifactError {
  return new ArtifactError('share_corrupt', { detail: `The sealed blob is not whole. ${detail}` })
}
