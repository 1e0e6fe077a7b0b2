/**
 * The form of a sealed blob (06 §17), which is the payload of age v1:
 *
 *     nonce           16    random
 *     chunks               STREAM: ChaCha20-Poly1305 of 64 KiB each, the last one of what is left
 *
 *     payload key          HKDF-SHA-256(key, salt: nonce, info: "payload"), 32 bytes
 *     nonce of a chunk     its number, 11 bytes, big-endian || 1 for the last, else 0
 *
 * 1. A chunk opens only at its place, and the last one only as the last: nothing can be cut, moved, repeated or added.
 * 2. The last chunk is empty only when all of it is: no content has two forms that differ in their end.
 */
import assert from 'node:assert/strict'
import { hkdfSync } from 'node:crypto'

/** What is encrypted at once, in bytes. */
export const chunkBytes = 64 * 1024
const tagBytes = 16
/** A full chunk with its tag. */
export const sealedChunkBytes = chunkBytes + tagBytes
export const blobNonceBytes = 16
export const blobKeyBytes = 32
/** What a file key of age has; ours have more. */
const keyBytesMin = 16
const payloadKeyBytes = 32
const info = Buffer.from('payload')

/** The key under which the chunks of one blob are encrypted. */
export function payloadKey(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  assert(key.length >= keyBytesMin, 'the key of a blob has at least 16 bytes')
  assert(nonce.length === blobNonceBytes, 'the nonce of a blob has 16 bytes')
  return new Uint8Array(hkdfSync('sha256', key, nonce, info, payloadKeyBytes))
}

const counterBytes = 6
/** Where the counter ends: behind it is the flag of the last chunk. */
const counterEnd = 11

/** The nonce of the chunk with this number, counted from 0. */
export function chunkNonce(number: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(counterEnd + 1)
  nonce.writeUIntBE(number, counterEnd - counterBytes, counterBytes)
  nonce.writeUInt8(isLast ? 1 : 0, counterEnd)
  return nonce
}

/** How many chunks a content of `sizeBytes` has. */
export function chunkCount(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / chunkBytes))
}

/** How many bytes a content of `sizeBytes` has when it is sealed. */
export function sealedSize(sizeBytes: number): number {
  return blobNonceBytes + sizeBytes + chunkCount(sizeBytes) * tagBytes
}

/** Where in a blob the chunk with this number begins. */
export function sealedBytesBefore(number: number): number {
  return blobNonceBytes + number * sealedChunkBytes
}

/** ChaCha20-Poly1305 authenticates nothing beside a chunk: its place is in the nonce. */
export const associatedData = new Uint8Array(0)
