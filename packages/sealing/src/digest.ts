/**
 * SHA-256 in one call of node:crypto: an object per digest would cost more than the digest, and so would a buffer from it,
 * for which reason the 32 bytes are taken as text of 32 characters.
 */
import { hash } from 'node:crypto'

const digestBytes = 32

export function sha256(bytes: Uint8Array): Buffer {
  const digest = Buffer.alloc(digestBytes)
  digest.write(hash('sha256', bytes, 'binary'), 'latin1')
  return digest
}
