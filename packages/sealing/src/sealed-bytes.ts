/**
 * The bytes of a sealed message.
 *
 *     version 1          1
 *     header length      4     big-endian
 *     header                   header.ts
 *     content nonce     24
 *     wrap count         2     big-endian
 *     wraps             88     each: key id 16 | nonce 24 | wrapped content key 48
 *     ciphertext               of the content, with its tag of 16
 *     seal              32     HKDF-SHA-256(content key, "claudemesh/seal/v1/whole" || SHA-256(all bytes before it))
 *
 * 1. Bytes are read in one way only, and none are left over.
 * 2. The seal covers every byte: also the wraps of others, which no recipient can check otherwise.
 * 3. Of one message there is one content. A sender cannot make bytes that open to one text here and to another there,
 *    which the cipher alone would let it: two content keys with the same seal would be a collision of SHA-256.
 */

import { limits } from '@claudemesh/protocol'
import { sha256 } from './digest.ts'
import { deriveKey } from './key-agreement.ts'
import { keyIdBytes } from './pairwise-keys.ts'
import { keyBytes, nonceBytes, tagBytes } from './xchacha.ts'

/** A content key wrapped for one recipient. */
export interface Wrap {
  readonly keyId: Buffer
  readonly nonce: Buffer
  readonly wrappedKey: Buffer
}

/** What is in the bytes of a sealed message, the seal apart. */
export interface SealedParts {
  readonly header: Buffer
  readonly nonce: Buffer
  readonly wraps: readonly Wrap[]
  readonly ciphertext: Buffer
}

/** The parts with what is needed to check their seal. */
export interface ReadParts extends SealedParts {
  readonly seal: Buffer
  /** SHA-256 of all bytes before the seal. */
  readonly digest: Buffer
}

const version = 1
const headerStart = 5
const countBytes = 2
const wrappedKeyBytes = keyBytes + tagBytes
const wrapBytes = keyIdBytes + nonceBytes + wrappedKeyBytes
const sealBytes = 32

export function writeSealed(parts: SealedParts, contentKey: Uint8Array): Buffer {
  const { header, nonce, wraps, ciphertext } = parts
  const countStart = headerStart + header.length + nonceBytes
  const ciphertextStart = countStart + countBytes + wraps.length * wrapBytes
  const sealStart = ciphertextStart + ciphertext.length
  const bytes = Buffer.alloc(sealStart + sealBytes)
  bytes.writeUInt8(version)
  bytes.writeUInt32BE(header.length, 1)
  bytes.set(header, headerStart)
  bytes.set(nonce, countStart - nonceBytes)
  bytes.writeUInt16BE(wraps.length, countStart)
  for (const [index, wrap] of wraps.entries()) writeWrap(bytes, countStart + countBytes + index * wrapBytes, wrap)
  bytes.set(ciphertext, ciphertextStart)
  bytes.set(deriveSeal(contentKey, sha256(bytes.subarray(0, sealStart))), sealStart)
  return bytes
}

function writeWrap(bytes: Buffer, start: number, { keyId, nonce, wrappedKey }: Wrap): void {
  bytes.set(keyId, start)
  bytes.set(nonce, start + keyIdBytes)
  bytes.set(wrappedKey, start + keyIdBytes + nonceBytes)
}

/** @returns null when the bytes do not have the layout. Never throws. */
export function readSealed(bytes: Uint8Array): ReadParts | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const sealStart = buffer.length - sealBytes
  if (sealStart < headerStart || buffer.readUInt8() !== version) return null
  const headerLength = buffer.readUInt32BE(1)
  const countStart = headerStart + headerLength + nonceBytes
  const wrapsStart = countStart + countBytes
  if (wrapsStart > sealStart) return null
  const count = buffer.readUInt16BE(countStart)
  const ciphertextStart = wrapsStart + count * wrapBytes
  if (count > limits.recipientsMax || ciphertextStart + tagBytes > sealStart) return null
  return {
    header: buffer.subarray(headerStart, headerStart + headerLength),
    nonce: buffer.subarray(countStart - nonceBytes, countStart),
    wraps: Array.from({ length: count }, (_, index) => readWrap(buffer, wrapsStart + index * wrapBytes)),
    ciphertext: buffer.subarray(ciphertextStart, sealStart),
    seal: buffer.subarray(sealStart),
    digest: sha256(buffer.subarray(0, sealStart)),
  }
}

const sealLabel = Buffer.from('claudemesh/seal/v1/whole', 'latin1')

/** The seal over bytes of this digest. */
export function deriveSeal(contentKey: Uint8Array, digest: Uint8Array): Buffer {
  return deriveKey(contentKey, sealLabel, digest)
}

function readWrap(buffer: Buffer, start: number): Wrap {
  const nonceStart = start + keyIdBytes
  const keyStart = nonceStart + nonceBytes
  return {
    keyId: buffer.subarray(start, nonceStart),
    nonce: buffer.subarray(nonceStart, keyStart),
    wrappedKey: buffer.subarray(keyStart, keyStart + wrappedKeyBytes),
  }
}
