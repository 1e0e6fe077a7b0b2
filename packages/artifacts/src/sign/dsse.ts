/**
 * Signed manifests (06 §14): DSSE v1 over the bytes of a manifest with Ed25519 keys of members.
 *
 * 1. What is signed is the type and the bytes together, in a form that reads in one way only (PAE): no signature over a
 *    manifest is one over anything else.
 * 2. The bytes that were verified are the bytes that are used: nothing is encoded again between the two.
 * 3. A key id is the public key itself. Whose it is and whether it still counts is for the look-up to say.
 */
import { type SigningKeyPair, sign, verifySignature } from '@claudemesh/identity'
import { ArtifactError } from '../artifact-error.ts'

/** The media type of the canonical CBOR of a manifest. */
export const manifestMediaType = 'application/vnd.claudemesh.manifest.v1+cbor'

/** One signature over a payload that is kept beside it. */
export interface PayloadSignature {
  /** The Ed25519 public key in lower-case hex. In envelopes of others it may be anything, or empty. */
  readonly keyId: string
  readonly signature: Uint8Array
}

/** What is signed, and by whom. */
export interface DsseEnvelope {
  readonly payloadType: string
  readonly payload: Uint8Array
  /** At least one. */
  readonly signatures: readonly PayloadSignature[]
}

/** What a look-up knows of a key: it belongs to somebody by a chain that holds, it did and was revoked, or neither. */
export type KeyStanding = 'trusted' | 'revoked' | 'unknown'
export type KeyLookUp = (keyId: string) => KeyStanding | Promise<KeyStanding>

/** `invalid`: the key did not sign this. The others are said of signatures that the key did make. */
export type SignatureVerdict = 'valid' | 'invalid' | 'unknown_key' | 'revoked'

export interface JudgedSignature {
  readonly keyId: string
  readonly verdict: SignatureVerdict
}

/** The pre-authentication encoding: `DSSEv1`, then the length and the bytes of the type and of the payload. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `
  return Buffer.concat([Buffer.from(head), payload])
}

/** Signs the bytes of a manifest. */
export function signManifest(manifestBytes: Uint8Array, pair: SigningKeyPair): PayloadSignature {
  const bytes = preAuthEncoding(manifestMediaType, manifestBytes)
  return { keyId: pair.publicKey, signature: sign(pair, bytes) }
}

/**
 * Judges each signature of an envelope with a manifest, in order. One that is not valid says nothing about the others.
 *
 * @throws ArtifactError `invalid_envelope`: it is signed as something else than a manifest; errors of the look-up
 */
export async function verifyManifestEnvelope(envelope: DsseEnvelope, lookUp: KeyLookUp): Promise<JudgedSignature[]> {
  if (envelope.payloadType !== manifestMediaType) {
    throw new ArtifactError('invalid_envelope', { detail: 'The envelope does not hold a manifest.' })
  }
  const bytes = preAuthEncoding(envelope.payloadType, envelope.payload)
  const judged: JudgedSignature[] = []
  for (const { keyId, signature } of envelope.signatures) {
    judged.push({ keyId, verdict: await judge({ keyId, signature, bytes }, lookUp) })
  }
  return judged
}

const keyIdPattern = /^[0-9a-f]{64}$/

async function judge(
  o: { readonly keyId: string; readonly signature: Uint8Array; readonly bytes: Uint8Array },
  lookUp: KeyLookUp,
): Promise<SignatureVerdict> {
  // The id of another kind of key, which nobody here can have.
  if (!keyIdPattern.test(o.keyId)) return 'unknown_key'
  if (!verifySignature({ publicKey: o.keyId, bytes: o.bytes, signature: o.signature })) return 'invalid'
  const standing = await lookUp(o.keyId)
  switch (standing) {
    case 'trusted':
      return 'valid'
    case 'revoked':
      return 'revoked'
    case 'unknown':
      return 'unknown_key'
    default:
      return standing satisfies never
  }
}
