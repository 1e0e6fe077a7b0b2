/**
 * SHA-256 and HMAC over it, in single calls of node:crypto: an object per digest would cost more than the digest, and
 * so would a buffer from it, for which reason it gives its 32 bytes as text of 32 characters.
 */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'

const digestBytes = 32

export function sha256(bytes: Uint8Array): Buffer {
  return toBytes(digestOf(bytes))
}

const blockBytes = 64
const innerPad = 0x36
const outerPad = 0x5c

/** The same at every call: 64 bytes of padded key and the inner digest. No key stays in it. */
const outerInput = Buffer.alloc(blockBytes + digestBytes)

/** HMAC-SHA-256 (RFC 2104) with a key no longer than a block of the hash. */
export function hmac(key: Uint8Array, bytes: Uint8Array): Buffer {
  assert(key.length <= blockBytes, 'a longer key would have to be hashed first')
  const innerInput = Buffer.allocUnsafe(blockBytes + bytes.length)
  fillBlock(innerInput, key, innerPad)
  innerInput.set(bytes, blockBytes)
  outerInput.write(digestOf(innerInput), blockBytes, 'latin1')
  fillBlock(outerInput, key, outerPad)
  const digest = digestOf(outerInput)
  innerInput.fill(0)
  outerInput.fill(0)
  return toBytes(digest)
}

function fillBlock(input: Buffer, key: Uint8Array, pad: number): void {
  input.fill(pad, 0, blockBytes)
  for (let index = 0; index < key.length; index += 1) input[index] = (key[index] ?? 0) ^ pad
}

function digestOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'binary')
}

function toBytes(digest: string): Buffer {
  const bytes = Buffer.alloc(digestBytes)
  bytes.write(digest, 'latin1')
  return bytes
}
