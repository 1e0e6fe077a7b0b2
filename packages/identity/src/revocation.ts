/**
 * Who is no longer trusted (05 §1). One list per mesh holds every revocation there ever was; the broker passes it on,
 * every daemon keeps it, and both judge it by the same rules.
 *
 * 1. What is signed: `claudemesh-revocation-v1 00 JCS(all members but signature)`.
 * 2. A list is issued by the root key or by an admin that the list before it has not revoked.
 * 3. A revocation is for ever. A list has a higher number than the one before it and takes nothing of that back, so an
 *    old list shown again brings nobody back.
 * 4. Its number is not above its time, and its time is not in the future: no admin can use up the numbers.
 * 5. The last places are the root key's: an admin gone bad cannot fill the list so that it can never be on it.
 * 6. A set of revocations has one text: entries ascend by id, and none is there twice.
 *
 * What a list says of a member is find-revocation.ts's. Nobody can tell here that a broker keeps the newest list back.
 */
import assert from 'node:assert/strict'
import {
  type Certificate,
  isCarriableText,
  limits,
  MeshError,
  type RevocationList,
  type RevokedInvite,
  type RevokedMember,
} from '@claudemesh/protocol'
import { type ChainFault, clockToleranceMs, type VerifiedMember, verifyChain } from './chain.ts'
import { findRevocation } from './find-revocation.ts'
import type { SigningKeyPair } from './keys.ts'
import { covers, findInvite, findMember, inviteIdOf, memberIdOf } from './revocation-entries.ts'
import { signDocument, verifyDocument } from './signed-document.ts'

const domain = 'claudemesh-revocation-v1'

/** A list before somebody signs it. */
export type UnsignedRevocationList = Omit<RevocationList, 'issuer_key' | 'signature'>

/** What is to be revoked besides what is revoked already. */
export interface RevocationChanges {
  readonly members?: readonly RevokedMember[]
  readonly invites?: readonly RevokedInvite[]
}

/**
 * The next list: everything of the previous one and the changes. Of two entries for one id the earlier holds.
 *
 * @param input.previous null when nothing was revoked in this mesh so far
 * @param input.now milliseconds since the epoch
 * @throws MeshError `revocation_list_full`
 */
export function mergeRevocations(input: {
  readonly meshId: string
  readonly previous: RevocationList | null
  readonly changes: RevocationChanges
  readonly now: number
}): UnsignedRevocationList {
  const { meshId, previous, changes, now } = input
  assert(previous === null || previous.mesh_id === meshId, 'a list follows one of the same mesh')
  const number = (previous?.number ?? 0) + 1
  // A clock that is behind that of the admin before must not make a list that is older than the one it follows.
  const issuedAt = Math.max(now, previous?.issued_at ?? 0, number)
  const merged = {
    mesh_id: meshId,
    number,
    revoked_members: unite(memberIdOf, previous?.revoked_members, changes.members, issuedAt),
    revoked_invites: unite(inviteIdOf, previous?.revoked_invites, changes.invites, issuedAt),
    issued_at: issuedAt,
  }
  if (countEntries(merged) > limits.revocationsMax) throw new MeshError('revocation_list_full')
  return merged
}

/**
 * Signs a list.
 *
 * @throws MeshError `not_admin` when the issuer may not revoke; `revocation_list_full` when only the root key may add more
 */
export function signRevocationList(input: {
  readonly mesh: { readonly root_key: string }
  readonly list: UnsignedRevocationList
  readonly issuer: {
    readonly signing: SigningKeyPair
    /** Empty when the root key signs. */
    readonly chain: readonly Certificate[]
  }
}): RevocationList {
  const { mesh, list, issuer } = input
  const [certificate] = issuer.chain
  if (certificate !== undefined && (certificate.kind !== 'member' || certificate.role !== 'admin')) {
    throw new MeshError('not_admin', { detail: 'only an admin of the mesh can revoke' })
  }
  if (certificate !== undefined && countEntries(list) > limits.revocationsByAdminMax) {
    throw new MeshError('revocation_list_full', {
      detail: 'the revocation list of this mesh has as many entries as an admin may sign',
      hint: 'Revoke on the host that keeps the root key: the last places of the list are for that.',
    })
  }
  const issuerKey = certificate === undefined ? mesh.root_key : certificate.signing_key
  assert(issuer.signing.publicKey === issuerKey, 'a list is signed with the key that the chain is about')
  const claims = { ...list, issuer_key: issuerKey }
  return { ...claims, signature: signDocument(domain, claims, issuer.signing) }
}

/** What keeps a list from being believed. Stable names, the same on every host. */
export type RevocationFault =
  | 'mesh_foreign'
  | 'number_not_newer'
  | 'number_ahead_of_time'
  | 'issued_in_future'
  | 'entries_not_ascending'
  | 'entry_in_future'
  | 'entry_withdrawn'
  | 'reason_uncarriable'
  | 'entries_reserved'
  | 'issuer_mismatch'
  | 'issuer_unproven'
  | 'issuer_not_admin'
  | 'issuer_revoked'
  | 'signature_invalid'

export type RevocationVerdict =
  | {
      readonly ok: true
      /** Null: the root key. Whether an admin's key is still its current one is for the caller to compare. */
      readonly issuer: VerifiedMember | null
    }
  | {
      readonly ok: false
      readonly reason: RevocationFault
      /** Why the issuer is unproven. */
      readonly chainFault?: ChainFault
    }

interface Judged {
  readonly mesh: { readonly mesh_id: string; readonly root_key: string }
  readonly list: RevocationList
  /** The chain of the admin who signed; empty when the root key did. */
  readonly issuerChain: readonly Certificate[]
  /** The list that this host believes so far, or null. */
  readonly previous: RevocationList | null
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** Judges a list that fits `revocationListSchema`: whether it takes the place of the previous one. */
export function verifyRevocationList(input: Judged): RevocationVerdict {
  const { mesh, list, issuerChain, previous } = input
  assert(previous === null || previous.mesh_id === mesh.mesh_id, 'the previous list is one of this mesh')
  const broken = rules.find(([, holds]) => !holds(input))
  if (broken !== undefined) return { ok: false, reason: broken[0] }
  const issuer = judgeIssuer(mesh, list, issuerChain)
  if (!issuer.ok) return issuer
  if (previous !== null && findRevocation({ list: previous, chain: issuerChain }) !== null) {
    return { ok: false, reason: 'issuer_revoked' }
  }
  const { signature, ...claims } = list
  const signed = verifyDocument({ domain, document: claims, publicKey: list.issuer_key, signature })
  return signed ? issuer : { ok: false, reason: 'signature_invalid' }
}

/** What can be seen without a signature: what a rule is called when it is broken, and whether it holds. */
const rules: readonly (readonly [RevocationFault, (judged: Judged) => boolean])[] = [
  ['mesh_foreign', ({ mesh, list }) => list.mesh_id === mesh.mesh_id],
  ['number_not_newer', ({ list, previous }) => list.number > (previous?.number ?? 0)],
  ['number_ahead_of_time', ({ list }) => list.number <= list.issued_at],
  ['issued_in_future', ({ list, now }) => list.issued_at <= now + clockToleranceMs],
  [
    'entries_not_ascending',
    ({ list }) => ascend(list.revoked_members.map(memberIdOf)) && ascend(list.revoked_invites.map(inviteIdOf)),
  ],
  [
    'entry_in_future',
    ({ list }) => [...list.revoked_members, ...list.revoked_invites].every(({ at }) => at <= list.issued_at),
  ],
  [
    'entry_withdrawn',
    ({ list, previous }) =>
      previous === null ||
      (previous.revoked_members.every(({ member_id, at }) => covers(findMember(list, member_id), at)) &&
        previous.revoked_invites.every(({ invite_id, at }) => covers(findInvite(list, invite_id), at))),
  ],
  ['reason_uncarriable', ({ list }) => list.revoked_members.every(({ reason }) => isCarriableText(reason ?? ''))],
  [
    'entries_reserved',
    ({ list, issuerChain }) => issuerChain.length === 0 || countEntries(list) <= limits.revocationsByAdminMax,
  ],
]

function judgeIssuer(
  mesh: Judged['mesh'],
  list: RevocationList,
  issuerChain: readonly Certificate[],
): RevocationVerdict {
  if (issuerChain.length === 0) {
    return list.issuer_key === mesh.root_key ? { ok: true, issuer: null } : { ok: false, reason: 'issuer_mismatch' }
  }
  // As with certificates: the end of an issuer's term does not end what it issued while in office.
  const verdict = verifyChain({ mesh, chain: issuerChain, now: list.issued_at })
  if (!verdict.ok) return { ok: false, reason: 'issuer_unproven', chainFault: verdict.reason }
  if (verdict.member.signingKey !== list.issuer_key) return { ok: false, reason: 'issuer_mismatch' }
  if (verdict.member.role !== 'admin') return { ok: false, reason: 'issuer_not_admin' }
  return { ok: true, issuer: verdict.member }
}

/** Members and invites have a bound each. */
function countEntries({ revoked_members: members, revoked_invites: invites }: UnsignedRevocationList): number {
  return Math.max(members.length, invites.length)
}

function unite<E extends { readonly at: number }>(
  idOf: (entry: E) => string,
  known: readonly E[] | undefined,
  added: readonly E[] | undefined,
  issuedAt: number,
): E[] {
  const entries = new Map((known ?? []).map((entry) => [idOf(entry), entry]))
  for (const entry of added ?? []) {
    const id = idOf(entry)
    const before = entries.get(id)
    const at = Math.min(entry.at, issuedAt)
    entries.set(id, before !== undefined && before.at <= at ? { ...entry, ...before } : { ...before, ...entry, at })
  }
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}

function ascend(ids: readonly string[]): boolean {
  return ids.every((id, index) => index === 0 || (ids[index - 1] ?? '') < id)
}
