/**
 * How two keys become a secret, and a secret a key: X25519 of node:crypto, and HKDF-SHA-256 of @noble/hashes, which is the
 * faster one for so few bytes.
 */
import { createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'
import type { BoxKeyPair } from '@claudemesh/identity'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'

const derivedBytes = 32
const publicKeyRegExp = /^[0-9a-f]{64}$/

/**
 * X25519.
 *
 * @returns 32 bytes; null when the public key is none, or when the result would be zero whatever the secret
 */
export function agree(box: BoxKeyPair, peerBoxKey: string): Buffer | null {
  if (!publicKeyRegExp.test(peerBoxKey)) return null
  try {
    return diffieHellman({ privateKey: box.secretKey, publicKey: importPublicKey(peerBoxKey) })
  } catch {
    // The key is of low order. Its error differs between versions of OpenSSL, and there is no other for an X25519 key.
    return null
  }
}

function importPublicKey(hex: string): KeyObject {
  const x = Buffer.from(hex, 'hex').toString('base64url')
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' })
}

/**
 * HKDF-SHA-256 (RFC 5869) without salt, 32 bytes: the input is secret and uniform, or comes from X25519.
 *
 * @param info parts that are read as one
 */
export function deriveKey(secret: Uint8Array, ...info: readonly Uint8Array[]): Buffer {
  const key = hkdf(sha256, secret, undefined, Buffer.concat(info), derivedBytes)
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength)
}
