/** Whom a revocation list revokes, on what an engine knows of members: the same for every engine. */
import assert from 'node:assert/strict'
import { clockToleranceMs, findRevocation, type Revocation } from '@claudemesh/identity'
import type { Certificate, RevocationList } from '@claudemesh/protocol'

/** A member as a list is judged against it. */
export interface Candidate {
  readonly memberId: string
  readonly chain: readonly Certificate[]
}

/** When a member was first let in, or first stood in the chain of one that was; null: never. */
export type FirstSeen = (memberId: string) => number | null

/**
 * Of which members a list has to be asked, after the one before it: those that its new entries name, and those that
 * came in since the first of them. Whoever came in by an invite or an admin before that was revoked stays.
 */
export interface Suspects {
  /** Ids of new entries. Those of invites are among them, and are nobody's. */
  readonly ids: readonly string[]
  /** A member's own clock may have been ahead of this one by the tolerance. Null: the list has nothing new. */
  readonly joinedSince: number | null
}

export function suspectsOf(list: RevocationList, previous: RevocationList | null): Suspects {
  const known = new Set(previous === null ? [] : listEntries(previous).map(({ id, at }) => `${id} ${at}`))
  const fresh = listEntries(list).filter(({ id, at }) => !known.has(`${id} ${at}`))
  if (fresh.length === 0) return { ids: [], joinedSince: null }
  const earliest = fresh.reduce((at, entry) => Math.min(at, entry.at), Number.POSITIVE_INFINITY)
  return { ids: fresh.map(({ id }) => id), joinedSince: earliest - clockToleranceMs }
}

function listEntries(list: RevocationList): readonly { id: string; at: number }[] {
  return [
    ...list.revoked_members.map(({ member_id: id, at }) => ({ id, at })),
    ...list.revoked_invites.map(({ invite_id: id, at }) => ({ id, at })),
  ]
}

/** What a list says of the member whose chain it is. */
export function judgeChain(
  list: RevocationList,
  chain: readonly Certificate[],
  firstSeenAt: FirstSeen,
): Revocation | null {
  const [current] = chain
  assert(current?.kind === 'member', 'a chain begins with its member')
  // A member that stands above another one in its chain was heard of at the latest when that other one was.
  const ownSeenAt = firstSeenAt(current.member_id)
  return findRevocation({ list, chain, firstSeenAt: (memberId) => earlier(firstSeenAt(memberId), ownSeenAt) })
}

function earlier(left: number | null, right: number | null): number | null {
  return left === null || right === null ? (left ?? right) : Math.min(left, right)
}

export interface Revoked {
  readonly memberId: string
  readonly revocation: Revocation
}

/** Those of the candidates that a list revokes, in order of their ids. */
export function listRevoked(
  list: RevocationList,
  candidates: readonly Candidate[],
  firstSeenAt: FirstSeen,
): readonly Revoked[] {
  const revoked = candidates.flatMap(({ memberId, chain }) => {
    const revocation = judgeChain(list, chain, firstSeenAt)
    return revocation === null ? [] : [{ memberId, revocation }]
  })
  return revoked.toSorted((left, right) => (left.memberId < right.memberId ? -1 : 1))
}

/** Everybody who stands in one of the chains: of whom `FirstSeen` will be asked. */
export function membersOf(chains: readonly (readonly Certificate[])[]): readonly string[] {
  const ids = chains.flat().flatMap((certificate) => (certificate.kind === 'member' ? [certificate.member_id] : []))
  return [...new Set(ids)]
}
