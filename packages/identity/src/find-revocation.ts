/**
 * What a revocation list says of a member. When somebody came in is the question here, and a certificate's date is the
 * word of who made it: a host that knows better says so.
 */
import type { Certificate, MemberCertificate, RevocationList } from '@claudemesh/protocol'
import { covers, findInvite, findMember } from './revocation-entries.ts'

/** Why a member is not trusted: it was revoked itself, or it came in by what had been revoked before. */
export interface Revocation {
  readonly reason: 'member_revoked' | 'invite_revoked' | 'issuer_revoked'
  /** The id on the list. */
  readonly id: string
  readonly at: number
}

/**
 * Looks for what a list says of a member. A member that is revoked is so whatever the dates. One that was let in by an
 * invite or by an admin stays when that is revoked later, and was never let in when that had been revoked before.
 *
 * @param input.list a list that was verified
 * @param input.chain a chain that was verified
 * @param input.firstSeenAt when this host first let that member in, or null when it has not; for a host whose word
 *   counts more than the member's own, which is the broker. Left out: the dates of the certificates are believed
 */
export function findRevocation(input: {
  readonly list: RevocationList
  readonly chain: readonly Certificate[]
  readonly firstSeenAt?: (memberId: string) => number | null
}): Revocation | null {
  const { list, chain, firstSeenAt } = input
  const [current] = chain
  if (current?.kind !== 'member') return null
  const own = findMember(list, current.member_id)
  if (own !== undefined) return { reason: 'member_revoked', id: own.member_id, at: own.at }
  for (const [index, certificate] of chain.entries()) {
    if (certificate.kind !== 'member' || certificate.epoch > 0) continue
    const seenAt = firstSeenAt === undefined ? 0 : (firstSeenAt(certificate.member_id) ?? Number.POSITIVE_INFINITY)
    const found = judgeAdmission(list, certificate, chain.slice(index + 1), seenAt)
    if (found !== null) return found
  }
  return null
}

/** What is revoked of that by which a member came in: the invite, and the admin behind it. */
function judgeAdmission(
  list: RevocationList,
  founding: MemberCertificate,
  above: readonly Certificate[],
  seenAt: number,
): Revocation | null {
  const admittedAt = Math.max(founding.not_before, seenAt)
  const [issuer] = above
  if (issuer?.kind === 'invite') {
    const invite = findInvite(list, issuer.invite_id)
    if (covers(invite, admittedAt)) return { reason: 'invite_revoked', id: issuer.invite_id, at: invite.at }
  }
  const grantor = issuer?.kind === 'invite' ? above[1] : issuer
  if (grantor?.kind !== 'member') return null
  const admin = findMember(list, grantor.member_id)
  return covers(admin, admittedAt) ? { reason: 'issuer_revoked', id: grantor.member_id, at: admin.at } : null
}
