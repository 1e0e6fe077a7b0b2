/**
 * One certificate: made, signed, verified (05 §1).
 *
 * 1. What is signed: `claudemesh-certificate-v1 00 JCS(all members but signature)`.
 * 2. A member certificate also carries the proof that its signing key takes part: `possession`, made by that key over
 *    `claudemesh-possession-v1 00 JCS(all members but signature and possession)`.
 * 3. A valid signature says that the holder of `issuer_key` made the certificate. Whether that key was allowed to is
 *    the chain's affair (chain.ts).
 * 4. A certificate that was verified is known again by its digest. What a signature covers never changes, so neither
 *    does the verdict; what did not verify is not remembered.
 */
import { createHash } from 'node:crypto'
import {
  type Certificate,
  canonicalJson,
  type InviteCertificate,
  type MemberCertificate,
  type Role,
} from '@claudemesh/protocol'
import type { MemberKeys, SigningKeyPair } from './keys.ts'
import { signDocument, verifyDocument } from './signed-document.ts'

const certificateDomain = 'claudemesh-certificate-v1'
const possessionDomain = 'claudemesh-possession-v1'

/** Binds the keys of one epoch of a member to its id and name. A founding certificate has epoch 0. */
export function signMemberCertificate(input: {
  readonly meshId: string
  readonly memberId: string
  readonly name: string
  readonly role: Role
  readonly keys: MemberKeys
  readonly epoch: number
  readonly notBefore: number
  /** Null: valid until revoked. */
  readonly notAfter: number | null
  readonly issuer: SigningKeyPair
}): MemberCertificate {
  const claims = {
    kind: 'member' as const,
    mesh_id: input.meshId,
    member_id: input.memberId,
    name: input.name,
    role: input.role,
    signing_key: input.keys.signing.publicKey,
    box_key: input.keys.box.publicKey,
    not_before: input.notBefore,
    ...(input.notAfter === null ? {} : { not_after: input.notAfter }),
    epoch: input.epoch,
    issuer_key: input.issuer.publicKey,
  }
  const proven = { ...claims, possession: signDocument(possessionDomain, claims, input.keys.signing) }
  return { ...proven, signature: signDocument(certificateDomain, proven, input.issuer) }
}

/** Gives the holder of an invite key the right to admit members. */
export function signInviteCertificate(input: {
  readonly meshId: string
  readonly inviteId: string
  readonly inviteKey: string
  readonly role: Role
  readonly uses: number
  readonly notBefore: number
  readonly notAfter: number
  readonly issuer: SigningKeyPair
}): InviteCertificate {
  const claims = {
    kind: 'invite' as const,
    mesh_id: input.meshId,
    invite_id: input.inviteId,
    invite_key: input.inviteKey,
    role: input.role,
    uses: input.uses,
    not_before: input.notBefore,
    not_after: input.notAfter,
    issuer_key: input.issuer.publicKey,
  }
  return { ...claims, signature: signDocument(certificateDomain, claims, input.issuer) }
}

/** Whether every signature in the certificate is one of the key that it names. */
export function verifyCertificate(certificate: Certificate): boolean {
  return checkCertificate(certificate) !== 'invalid'
}

/** As `verifyCertificate`; `known` when it was verified before, and its signatures cost nothing. */
export function checkCertificate(certificate: Certificate): 'known' | 'verified' | 'invalid' {
  const digest = createHash('sha256').update(canonicalJson(certificate)).digest('base64')
  const isKnown = verified.delete(digest)
  if (!isKnown && !verifySignatures(certificate)) return 'invalid'
  verified.add(digest)
  if (verified.size > verifiedMax) {
    const [oldest = ''] = verified
    verified.delete(oldest)
  }
  return isKnown ? 'known' : 'verified'
}

/**
 * Digests of certificates that were verified in this process, the one that was used last at the end. Chains of one mesh
 * share the certificates of those who let members in, and each new chain of a member is the one before and one more.
 */
const verified = new Set<string>()
/** A digest takes about 100 bytes. */
const verifiedMax = 16_384

function verifySignatures(certificate: Certificate): boolean {
  const { signature, ...signed } = certificate
  if (!verifyDocument({ domain: certificateDomain, document: signed, publicKey: certificate.issuer_key, signature })) {
    return false
  }
  return certificate.kind === 'invite' || verifyPossession(certificate)
}

function verifyPossession(certificate: MemberCertificate): boolean {
  const { signature: _, possession, ...claims } = certificate
  return verifyDocument({
    domain: possessionDomain,
    document: claims,
    publicKey: certificate.signing_key,
    signature: possession,
  })
}

/** The key that a certificate speaks for, and that issues the certificate before it in a chain. */
export function subjectKey(certificate: Certificate): string {
  return certificate.kind === 'member' ? certificate.signing_key : certificate.invite_key
}
