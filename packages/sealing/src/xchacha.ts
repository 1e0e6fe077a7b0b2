/**
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), the one cipher of this package.
 *
 * As the draft builds it: HChaCha20 turns the key and the first 16 bytes of the nonce into a subkey, and
 * ChaCha20-Poly1305 (RFC 8439) runs under that with the last 8. The first is @noble/ciphers', the second node:crypto's.
 *
 * 1. Nonces are long enough to be random: no counter has to be kept, and two hosts never have to agree on one.
 * 2. Nothing of a plaintext is returned before all of it is known to be authentic.
 */
import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { hchacha } from '@noble/ciphers/chacha.js'

export const keyBytes = 32
export const nonceBytes = 24
/** What a ciphertext has more than its plaintext. */
export const tagBytes = 16

/** The bytes that both directions take. */
interface CipherInput {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  /** Authentic with the plaintext, but not in the ciphertext. */
  readonly associatedData: Uint8Array
}

/** @returns the ciphertext with its tag at the end */
export function encrypt(input: CipherInput & { readonly plaintext: Uint8Array }): Buffer {
  const { key, nonce } = shorten(input)
  return encryptShort({ key, nonce, associatedData: input.associatedData, plaintext: input.plaintext })
}

/** @returns null when key, nonce, associated data and ciphertext do not belong together */
export function decrypt(input: CipherInput & { readonly ciphertext: Uint8Array }): Buffer | null {
  const { key, nonce } = shorten(input)
  return decryptShort({ key, nonce, associatedData: input.associatedData, ciphertext: input.ciphertext })
}

const algorithm = 'chacha20-poly1305'
const options = { authTagLength: tagBytes }
const shortNonceBytes = 12

/** ChaCha20-Poly1305 with its own nonce of 12 bytes, which is too short to be random. */
export function encryptShort(input: CipherInput & { readonly plaintext: Uint8Array }): Buffer {
  assertLengths(input)
  const cipher = createCipheriv(algorithm, input.key, input.nonce, options)
  cipher.setAAD(input.associatedData, { plaintextLength: input.plaintext.length })
  const sealed = Buffer.allocUnsafe(input.plaintext.length + tagBytes)
  sealed.set(cipher.update(input.plaintext))
  // A stream cipher keeps nothing back: what final() gives is empty.
  cipher.final()
  sealed.set(cipher.getAuthTag(), input.plaintext.length)
  return sealed
}

/** The inverse of `encryptShort`. */
export function decryptShort(input: CipherInput & { readonly ciphertext: Uint8Array }): Buffer | null {
  assertLengths(input)
  const plaintextLength = input.ciphertext.length - tagBytes
  if (plaintextLength < 0) return null
  const decipher = createDecipheriv(algorithm, input.key, input.nonce, options)
  decipher.setAAD(input.associatedData, { plaintextLength })
  decipher.setAuthTag(input.ciphertext.subarray(plaintextLength))
  const plaintext = decipher.update(input.ciphertext.subarray(0, plaintextLength))
  try {
    decipher.final()
  } catch {
    // The tag is not that of these bytes. There is nothing else that final() fails on.
    return null
  }
  return plaintext
}

function assertLengths(input: CipherInput): void {
  assert(input.key.length === keyBytes, 'a cipher key has 32 bytes')
  assert(input.nonce.length === shortNonceBytes, 'a nonce of ChaCha20-Poly1305 has 12 bytes')
}

/** The words of "expand 32-byte k", with which the state of every ChaCha begins. */
const constants = new Uint32Array(new TextEncoder().encode('expand 32-byte k').buffer)
const subkeyNonceBytes = 16

function shorten(input: CipherInput): { key: Uint8Array; nonce: Uint8Array } {
  assert(input.key.length === keyBytes, 'a cipher key has 32 bytes')
  assert(input.nonce.length === nonceBytes, 'a nonce of XChaCha20-Poly1305 has 24 bytes')
  const nonce = new Uint8Array(shortNonceBytes)
  nonce.set(input.nonce.subarray(subkeyNonceBytes), shortNonceBytes - (nonceBytes - subkeyNonceBytes))
  return { key: deriveSubkey(input.key, input.nonce.subarray(0, subkeyNonceBytes)), nonce }
}

/** Bytes go in and out through these words: bytes need not lie where words have to. No key stays in them. */
const keyWords = new Uint32Array(keyBytes / Uint32Array.BYTES_PER_ELEMENT)
const nonceWords = new Uint32Array(subkeyNonceBytes / Uint32Array.BYTES_PER_ELEMENT)
const keyView = new Uint8Array(keyWords.buffer)
const nonceView = new Uint8Array(nonceWords.buffer)

/** HChaCha20. */
export function deriveSubkey(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  assert(nonce.length === subkeyNonceBytes, 'HChaCha20 takes 16 bytes of nonce')
  keyView.set(key)
  nonceView.set(nonce)
  hchacha(constants, keyWords, nonceWords, keyWords)
  const subkey = new Uint8Array(keyBytes)
  subkey.set(keyView)
  keyWords.fill(0)
  return subkey
}
