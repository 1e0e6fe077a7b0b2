/**
 * Key pairs: Ed25519 for signing, X25519 for sealing.
 *
 * 1. A secret lives in a KeyObject, which prints and serialises as nothing; it leaves only by `exportSeed`.
 * 2. Every primitive is node:crypto's.
 * 3. Verifying never throws: what is not a signature of the key over the bytes is false.
 *
 * It does not keep keys: key-file.ts does.
 */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign as signBytes, verify } from 'node:crypto'

/** Bytes of a secret key of either kind. */
export const seedBytes = 32
const signatureBytes = 64

export interface SigningKeyPair {
  /** The 32 bytes of the Ed25519 public key in lower-case hex. */
  readonly publicKey: string
  readonly secretKey: KeyObject
}

export interface BoxKeyPair {
  /** The 32 bytes of the X25519 public key in lower-case hex. */
  readonly publicKey: string
  readonly secretKey: KeyObject
}

/** The two key pairs of one epoch of a member. */
export interface MemberKeys {
  readonly signing: SigningKeyPair
  readonly box: BoxKeyPair
}

export function generateSigningKeyPair(): SigningKeyPair {
  return importSigningKeyPair(randomBytes(seedBytes))
}

export function generateBoxKeyPair(): BoxKeyPair {
  return importBoxKeyPair(randomBytes(seedBytes))
}

export function generateMemberKeys(): MemberKeys {
  return { signing: generateSigningKeyPair(), box: generateBoxKeyPair() }
}

/** The Ed25519 pair of a 32 byte seed (RFC 8032). */
export function importSigningKeyPair(seed: Uint8Array): SigningKeyPair {
  return importSeed(ed25519Prefix, seed)
}

/** The X25519 pair of a 32 byte secret (RFC 7748). */
export function importBoxKeyPair(seed: Uint8Array): BoxKeyPair {
  return importSeed(x25519Prefix, seed)
}

/** The 32 secret bytes of a pair, for the files that keep them and for nothing else. */
export function exportSeed(pair: SigningKeyPair | BoxKeyPair): Buffer {
  const { d } = pair.secretKey.export({ format: 'jwk' })
  assert(d !== undefined, 'a secret key exports its secret part')
  return Buffer.from(d, 'base64url')
}

/** @returns 64 bytes */
export function sign(pair: SigningKeyPair, bytes: Uint8Array): Buffer {
  return signBytes(null, bytes, pair.secretKey)
}

/** Whether `signature` is the Ed25519 signature of `publicKey` (hex) over `bytes`. */
export function verifySignature(input: {
  readonly publicKey: string
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
}): boolean {
  if (input.signature.length !== signatureBytes || !publicKeyRegExp.test(input.publicKey)) return false
  return verify(null, input.bytes, importPublicKey(input.publicKey), input.signature)
}

const publicKeyRegExp = /^[0-9a-f]{64}$/
/** What stands before the 32 secret bytes in PKCS #8 (RFC 8410 §7). */
const ed25519Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const x25519Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')

function importSeed(prefix: Buffer, seed: Uint8Array): { publicKey: string; secretKey: KeyObject } {
  assert(seed.length === seedBytes, 'a seed has 32 bytes')
  const secretKey = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' })
  const { x } = createPublicKey(secretKey).export({ format: 'jwk' })
  assert(x !== undefined, 'a public key exports its public part')
  return { publicKey: Buffer.from(x, 'base64url').toString('hex'), secretKey }
}

/** Keys seen last, oldest first: importing one costs an eighth of verifying with it. */
const publicKeys = new Map<string, KeyObject>()
const publicKeysMax = 4096

function importPublicKey(hex: string): KeyObject {
  const known = publicKeys.get(hex)
  const key = known ?? createPublicKey({ key: publicKeyJwk(hex), format: 'jwk' })
  if (known !== undefined) publicKeys.delete(hex)
  publicKeys.set(hex, key)
  if (publicKeys.size > publicKeysMax) {
    const [oldest] = publicKeys.keys()
    if (oldest !== undefined) publicKeys.delete(oldest)
  }
  return key
}

function publicKeyJwk(hex: string): { kty: string; crv: string; x: string } {
  return { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hex, 'hex').toString('base64url') }
}
