/**
 * Who a member is, proven up to the root key of its mesh (05 §1). Every peer and the broker run this for themselves.
 *
 * `chain[0]` is the member's current certificate; each following certificate is that of the key which issued the one
 * before it; the last is issued by the root key.
 *
 * 1. A certificate puts a key under a member id only when the id is that key (founding), or when the key that stood
 *    there before signed the change (rotation). Nobody can do it for somebody else, not even an admin or the root.
 * 2. A role is granted by the root or by an admin, directly or through an invite, and is never raised on the way.
 * 3. Expiry of an issuer ends its right to issue. It does not end what was issued while it held.
 * 4. Every signature is checked, but only in a chain that would be believed if they all hold, and from the root key
 *    downwards: refusing what a stranger made up is cheap, however long it is.
 * 5. Steps by which somebody was let in are few, rotations may be many: an identity lasts for years, and the number of
 *    hands between it and the root key does not grow with them.
 *
 * It does not know of revocations (revocation.ts), and counts no uses of an invite: that needs what others have done,
 * which is the broker's to keep.
 */
import {
  type Certificate,
  type InviteCertificate,
  limits,
  type MemberCertificate,
  type Role,
} from '@claudemesh/protocol'
import { checkCertificate, subjectKey, verifyCertificate } from './certificate.ts'

/** A member whose chain was verified. Its fields may be believed. */
export interface VerifiedMember {
  readonly memberId: string
  readonly name: string
  readonly role: Role
  /** Ed25519 public key of the current epoch in hex. */
  readonly signingKey: string
  /** X25519 public key of the current epoch in hex. */
  readonly boxKey: string
  readonly epoch: number
  /** The invites on the way to the root: first the member's own (if it joined by one), then those of its issuers. */
  readonly invites: readonly Admission[]
}

/** One joining by invite. Uses are per invite and admitted member, however many chains go through it. */
export interface Admission {
  readonly inviteId: string
  /** How many members the invite may admit. */
  readonly uses: number
  /** When the invite expires, in milliseconds since the epoch. */
  readonly notAfter: number
  /** The member that this use admitted. */
  readonly memberId: string
}

export type ChainVerdict =
  | { readonly ok: true; readonly member: VerifiedMember }
  | { readonly ok: false; readonly reason: ChainFault }

/**
 * How far ahead another host's clock may be. Without it a new member whose clock runs fast would be nobody to its
 * peers at the moment it joins.
 */
export const clockToleranceMs = 10 * 60_000

export interface ChainInput {
  readonly mesh: { readonly mesh_id: string; readonly root_key: string }
  readonly chain: readonly Certificate[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** @returns the member, or the first rule that its chain breaks */
export function verifyChain(input: ChainInput): ChainVerdict {
  const judged = judgeClaims(input)
  return !judged.ok || input.chain.toReversed().every(verifyCertificate) ? judged : signatureInvalid
}

/** Certificates that are verified at a stretch: about a millisecond. */
const certificatesPerTurn = 4

/**
 * As `verifyChain`, for a host that has others to serve: it stops again and again on the way.
 *
 * @param mayGoOn is told how many certificates were verified since it was asked last, and says whether to go on. What
 *   was verified by then is known the next time
 * @returns null when it was to stop
 */
export async function verifyChainInTurns(
  input: ChainInput,
  mayGoOn: (verified: number) => Promise<boolean>,
): Promise<ChainVerdict | null> {
  const judged = judgeClaims(input)
  if (!judged.ok) return judged
  let verified = 0
  for (const certificate of input.chain.toReversed()) {
    const check = checkCertificate(certificate)
    if (check === 'invalid') return signatureInvalid
    if (check === 'verified') verified += 1
    if (verified < certificatesPerTurn) continue
    if (!(await mayGoOn(verified))) return null
    verified = 0
  }
  return verified === 0 || (await mayGoOn(verified)) ? judged : null
}

/**
 * As `verifyChain`, of a chain whose signatures were verified before, all of them and to the last byte: that needs no
 * repetition, unlike its dates.
 */
export function judgeVerifiedChain(input: ChainInput): ChainVerdict {
  return judgeClaims(input)
}

const signatureInvalid: ChainVerdict = { ok: false, reason: 'signature_invalid' }

/** Everything but the signatures. */
function judgeClaims({ mesh, chain, now }: ChainInput): ChainVerdict {
  const [current] = chain
  if (current === undefined) return { ok: false, reason: 'chain_empty' }
  const rotations = countRotations(chain)
  if (chain.length - rotations > limits.chainStepsMax) return { ok: false, reason: 'chain_too_long' }
  if (rotations > limits.chainRotationsMax) return { ok: false, reason: 'rotations_too_many' }
  if (current.kind !== 'member') return { ok: false, reason: 'not_a_member_certificate' }
  if (current.not_before > now + clockToleranceMs) return { ok: false, reason: 'not_yet_valid' }
  if (isExpired(current, now)) return { ok: false, reason: 'expired' }
  const fault = findFault(mesh, chain)
  return fault === null ? { ok: true, member: toVerifiedMember(current, chain) } : { ok: false, reason: fault }
}

/** Rotations in a chain: the member's own and those of its issuers. Only a founding certificate has epoch 0. */
export function countRotations(chain: readonly Certificate[]): number {
  return chain.filter((certificate) => certificate.kind === 'member' && certificate.epoch > 0).length
}

function findFault(mesh: { mesh_id: string; root_key: string }, chain: readonly Certificate[]): ChainFault | null {
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1] ?? null
    if (certificate.mesh_id !== mesh.mesh_id) return 'mesh_foreign'
    if (issuer === null && certificate.issuer_key !== mesh.root_key) return 'not_rooted'
    if (issuer !== null && certificate.issuer_key !== subjectKey(issuer)) return 'issuer_mismatch'
    const fault = findLinkFault(certificate, issuer)
    if (fault !== null) return fault
  }
  return null
}

/** A rule of one kind of link: what it is called when broken, and whether it holds. Issuer null is the root key. */
type Rule<C, I> = readonly [ChainFault, (certificate: C, issuer: I) => boolean]

/** The certificate begins while its issuer's is in force. */
const issuedInForce: readonly Rule<Certificate, Certificate | null>[] = [
  ['issued_before_issuer', (certificate, issuer) => certificate.not_before >= (issuer?.not_before ?? 0)],
  ['issued_after_expiry', (certificate, issuer) => issuer === null || !isExpired(issuer, certificate.not_before)],
]

/** The certificate is the first of its member. */
const founding: readonly Rule<MemberCertificate, unknown>[] = [
  ['founding_epoch_not_zero', (certificate) => certificate.epoch === 0],
  ['member_id_mismatch', (certificate) => certificate.member_id === certificate.signing_key],
]

const grantedByAdmin: readonly Rule<unknown, MemberCertificate | null>[] = [
  ['issuer_not_admin', (_, issuer) => issuer === null || issuer.role === 'admin'],
]

/** The root or an admin makes an invite. */
const delegation: readonly Rule<InviteCertificate, MemberCertificate | null>[] = [...grantedByAdmin, ...issuedInForce]

/** The root or an admin certifies a new member. */
const appointment: readonly Rule<MemberCertificate, MemberCertificate | null>[] = [
  ...grantedByAdmin,
  ...founding,
  ...issuedInForce,
]

/** A new member certifies itself with the key of an invite. */
const joining: readonly Rule<MemberCertificate, InviteCertificate>[] = [
  ['role_escalated', (certificate, invite) => certificate.role === 'member' || invite.role === 'admin'],
  ...founding,
  ...issuedInForce,
]

/** A member puts new keys in the place of its old ones, and changes nothing that others granted it. */
const rotation: readonly Rule<MemberCertificate, MemberCertificate>[] = [
  ['rotation_epoch_skipped', (certificate, old) => certificate.epoch === old.epoch + 1],
  ['rotation_changes_role', (certificate, old) => certificate.role === old.role],
  ['rotation_changes_name', (certificate, old) => certificate.name === old.name],
  [
    'rotation_outlives',
    (certificate, old) =>
      (certificate.not_after ?? Number.POSITIVE_INFINITY) <= (old.not_after ?? Number.POSITIVE_INFINITY),
  ],
  ...issuedInForce,
]

/** Stable names of the rules, the same on every host: they stand in logs, in status and in refusals. */
export type ChainFault =
  | 'chain_empty'
  | 'chain_too_long'
  | 'rotations_too_many'
  | 'not_a_member_certificate'
  | 'not_yet_valid'
  | 'expired'
  | 'mesh_foreign'
  | 'not_rooted'
  | 'issuer_mismatch'
  | 'issuer_not_allowed'
  | 'issuer_not_admin'
  | 'issued_before_issuer'
  | 'issued_after_expiry'
  | 'role_escalated'
  | 'founding_epoch_not_zero'
  | 'member_id_mismatch'
  | 'rotation_epoch_skipped'
  | 'rotation_changes_role'
  | 'rotation_changes_name'
  | 'rotation_outlives'
  | 'signature_invalid'

function findLinkFault(certificate: Certificate, issuer: Certificate | null): ChainFault | null {
  if (certificate.kind === 'invite') {
    if (issuer?.kind === 'invite') return 'issuer_not_allowed'
    return firstBroken(delegation, certificate, issuer)
  }
  if (issuer?.kind === 'invite') return firstBroken(joining, certificate, issuer)
  if (issuer?.member_id === certificate.member_id) return firstBroken(rotation, certificate, issuer)
  return firstBroken(appointment, certificate, issuer)
}

function firstBroken<C, I>(list: readonly Rule<C, I>[], certificate: C, issuer: I): ChainFault | null {
  return list.find(([, holds]) => !holds(certificate, issuer))?.[0] ?? null
}

function isExpired(certificate: Certificate, at: number): boolean {
  return certificate.not_after !== undefined && at >= certificate.not_after
}

function toVerifiedMember(current: MemberCertificate, chain: readonly Certificate[]): VerifiedMember {
  return {
    memberId: current.member_id,
    name: current.name,
    role: current.role,
    signingKey: current.signing_key,
    boxKey: current.box_key,
    epoch: current.epoch,
    invites: listAdmissions(chain),
  }
}

function listAdmissions(chain: readonly Certificate[]): Admission[] {
  const admissions: Admission[] = []
  for (const [index, certificate] of chain.entries()) {
    const admitted = chain[index - 1]
    if (certificate.kind !== 'invite' || admitted?.kind !== 'member') continue
    admissions.push({
      inviteId: certificate.invite_id,
      uses: certificate.uses,
      notAfter: certificate.not_after,
      memberId: admitted.member_id,
    })
  }
  return admissions
}
