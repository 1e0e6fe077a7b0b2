/** The entries of a revocation list, which ascend by id. */
import type { RevocationList, RevokedInvite, RevokedMember } from '@claudemesh/protocol'

export function findMember(list: RevocationList, id: string): RevokedMember | undefined {
  return findEntry(list.revoked_members, memberIdOf, id)
}

export function findInvite(list: RevocationList, id: string): RevokedInvite | undefined {
  return findEntry(list.revoked_invites, inviteIdOf, id)
}

/** By halving: a whole directory is judged against a whole list whenever that changes. */
function findEntry<E>(entries: readonly E[], idOf: (entry: E) => string, id: string): E | undefined {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const entry = entries[middle]
    if (entry !== undefined && idOf(entry) < id) low = middle + 1
    else high = middle
  }
  const entry = entries[low]
  return entry !== undefined && idOf(entry) === id ? entry : undefined
}

export function memberIdOf(entry: RevokedMember): string {
  return entry.member_id
}

export function inviteIdOf(entry: RevokedInvite): string {
  return entry.invite_id
}

/** Whether an entry stands and holds at a time. */
export function covers<E extends { readonly at: number }>(entry: E | undefined, time: number): entry is E {
  return entry !== undefined && entry.at <= time
}
