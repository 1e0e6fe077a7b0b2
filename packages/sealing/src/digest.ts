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

/** HMAC-SHA-256 (RFC 2104) with a key no longer than a block of the hash. */
export function hmac(key: Uint8Array, bytes: Uint8Array): Buffer {
  assert(key.length <= blockBytes, 'a longer key would have to be hashed first')
  const input = Buffer.alloc(blockBytes + Math.max(bytes.length, digestBytes))
  fillBlock(input, key, innerPad)
  input.set(bytes, blockBytes)
  const inner = digestOf(input.subarray(0, blockBytes + bytes.length))
  fillBlock(input, key, outerPad)
  input.write(inner, blockBytes, 'latin1')
  const outer = digestOf(input.subarray(0, blockBytes + digestBytes))
  input.fill(0)
  return toBytes(outer)
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
