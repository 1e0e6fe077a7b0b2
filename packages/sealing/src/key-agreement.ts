/**
 * How two keys become a secret, and a secret a key: X25519 and HMAC of node:crypto. Its own HKDF makes a job and a key object
 * per call and takes three times as long as the two HMACs that HKDF is for so few bytes.
 */
import { createHmac, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'
import type { BoxKeyPair } from '@claudemesh/identity'

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

/** What RFC 5869 takes for a salt where there is none. */
const noSalt = Buffer.alloc(derivedBytes)
/** The number of the first block of output, which is all that 32 bytes need. */
const firstBlock = Buffer.from([1])

/**
 * HKDF-SHA-256 (RFC 5869) without salt, 32 bytes: the input is secret and uniform, or comes from X25519.
 *
 * @param info parts that are read as one
 */
export function deriveKey(secret: Uint8Array, ...info: readonly Uint8Array[]): Buffer {
  const extracted = hmac(noSalt, [secret])
  return hmac(extracted, [...info, firstBlock])
}

function hmac(key: Uint8Array, parts: readonly Uint8Array[]): Buffer {
  // One piece costs one call, and as text the digest costs less than as a buffer of its own (digest.ts).
  const text = createHmac('sha256', key).update(Buffer.concat(parts)).digest('binary')
  const digest = Buffer.alloc(derivedBytes)
  digest.write(text, 'latin1')
  return digest
}
