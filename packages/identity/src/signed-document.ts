/**
 * Signatures over JSON documents: `domain 00 JCS(document)`, where the domain says what kind of document it is.
 *
 * 1. A signature made in one domain is none in another: no domain contains a zero byte, and the first one ends it.
 * 2. A document has one canonical form (RFC 8785), so that every implementation signs the same bytes.
 * 3. A signature has one text: unpadded base64url without spare bits.
 */
import { canonicalJson, type JsonObject } from '@claudemesh/protocol'
import { decodeBase64url } from './base64url.ts'
import { type SigningKeyPair, sign, verifySignature } from './keys.ts'

export type SignatureDomain =
  | 'claudemesh-mesh-v1'
  | 'claudemesh-certificate-v1'
  | 'claudemesh-possession-v1'
  | 'claudemesh-revocation-v1'

/** @returns the signature as text */
export function signDocument(domain: SignatureDomain, document: JsonObject, keys: SigningKeyPair): string {
  return sign(keys, documentBytes(domain, document)).toString('base64url')
}

export function verifyDocument(input: {
  readonly domain: SignatureDomain
  readonly document: JsonObject
  readonly publicKey: string
  readonly signature: string
}): boolean {
  const signature = decodeBase64url(input.signature, 64)
  if (signature === null) return false
  return verifySignature({ publicKey: input.publicKey, bytes: documentBytes(input.domain, input.document), signature })
}

function documentBytes(domain: SignatureDomain, document: JsonObject): Buffer {
  return Buffer.from(`${domain}\u0000${canonicalJson(document)}`, 'utf8')
}
