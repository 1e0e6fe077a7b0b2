import assert from 'node:assert/strict'
import { clockToleranceMs, findRevocation } from '@claudemesh/identity'
import type { Certificate, RevocationList } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { RevocationChange, RevocationOutcome } from '../../departures.ts'
import type { AdmissionRefusal } from '../../store.ts'
import { type DepartStatements, dropWaiting, endSubscriptions, readTopics } from './depart.ts'
import type { Candidate, RevocationStatements } from './statements.ts'

type Statements = DepartStatements & { readonly revocations: RevocationStatements }

/** Puts a list in force. Everything is judged before anything is written, so that a refusal leaves nothing behind. */
export function putRevocations(statements: Statements, change: RevocationChange): RevocationOutcome {
  const { revocations, departure, admission } = statements
  const { list, issuer, at } = change
  const meshId = list.mesh_id
  const previous = revocations.findRevocations(meshId)?.list ?? null
  if ((previous?.number ?? null) !== change.follows) return { kind: 'stale' }
  if (issuer !== null) {
    const known = admission.findCredentials({ meshId, memberId: issuer.memberId })
    if (known?.status !== 'active' || known.signingKey !== issuer.signingKey) return { kind: 'issuer_refused' }
  }
  const revoked = listRevoked(revocations, list, previous)

  assert.equal(revocations.saveRevocations(change), 1, 'a list that follows has a higher number')
  const actor = issuer?.memberId ?? 'root'
  admission.audit({ meshId, at, actor, action: 'revocations_put', detail: { number: list.number } })
  const names = new Set<string>()
  const notified = new Set<string>()
  let rowsLeft = change.rowsMax
  for (const { memberId, revocation } of revoked) {
    const gone = { meshId, memberId, status: 'revoked' } as const
    assert.equal(departure.markRevoked(gone), 1, 'whoever was revoked before is no candidate')
    admission.audit({ meshId, at, actor, action: 'member_revoked', detail: { member_id: memberId, ...revocation } })
    for (const name of endSubscriptions(statements, gone)) names.add(name)
    const dropped = dropWaiting(statements, gone, { at, rowsMax: rowsLeft })
    rowsLeft -= dropped.rows
    for (const each of dropped.notified) notified.add(each)
  }
  crashPoint('broker.revoke.before-commit')
  return {
    kind: 'stored',
    revoked: revoked.map(({ memberId }) => memberId),
    departure: { topics: readTopics(statements, meshId, [...names]), notified: [...notified] },
  }
}

type Revoked = Pick<Candidate, 'memberId'> & { readonly revocation: NonNullable<ReturnType<typeof findRevocation>> }

/** Members that the list revokes and the one before it did not. */
function listRevoked(
  revocations: RevocationStatements,
  list: RevocationList,
  previous: RevocationList | null,
): readonly Revoked[] {
  const meshId = list.mesh_id
  const candidates = new Map<string, Candidate>()
  const fresh = listFresh(list, previous)
  for (const { id: memberId } of fresh) {
    const candidate = revocations.findCandidate({ meshId, memberId })
    if (candidate !== null) candidates.set(memberId, candidate)
  }
  // Whoever came in by an invite or an admin before that was revoked stays: only those who came later are looked at. A
  // member's own clock may have been ahead of this one by the tolerance.
  const since = Math.min(...fresh.map(({ at }) => at)) - clockToleranceMs
  for (const candidate of fresh.length === 0 ? [] : revocations.joinedSince(meshId, since)) {
    candidates.set(candidate.memberId, candidate)
  }
  return [...candidates.values()].flatMap(({ memberId, chain }) => {
    const revocation = judgeChain(revocations, list, chain)
    return revocation === null ? [] : [{ memberId, revocation }]
  })
}

/** Entries that the list before did not have, or had with a later time. */
function listFresh(list: RevocationList, previous: RevocationList | null): readonly { id: string; at: number }[] {
  const known = new Set(previous === null ? [] : listEntries(previous).map(({ id, at }) => `${id} ${at}`))
  return listEntries(list).filter(({ id, at }) => !known.has(`${id} ${at}`))
}

function listEntries(list: RevocationList): readonly { id: string; at: number }[] {
  return [
    ...list.revoked_members.map(({ member_id: id, at }) => ({ id, at })),
    ...list.revoked_invites.map(({ invite_id: id, at }) => ({ id, at })),
  ]
}

/** Whether the list in force keeps a member out. */
export function judgeRevocation(
  revocations: RevocationStatements,
  { mesh, chain }: { readonly mesh: { readonly mesh_id: string }; readonly chain: readonly Certificate[] },
): AdmissionRefusal | null {
  const inForce = revocations.findRevocations(mesh.mesh_id)
  return inForce === null ? null : (judgeChain(revocations, inForce.list, chain)?.reason ?? null)
}

/** A member that stands above another one in its chain was heard of at the latest when that other one was. */
function judgeChain(revocations: RevocationStatements, list: RevocationList, chain: readonly Certificate[]) {
  const [current] = chain
  assert(current?.kind === 'member', 'a chain begins with its member')
  const firstSeenAt = (memberId: string) => revocations.firstSeenAt({ meshId: list.mesh_id, memberId })
  const ownSeenAt = firstSeenAt(current.member_id)
  return findRevocation({ list, chain, firstSeenAt: (memberId) => earlier(firstSeenAt(memberId), ownSeenAt) })
}

function earlier(left: number | null, right: number | null): number | null {
  return left === null || right === null ? (left ?? right) : Math.min(left, right)
}
