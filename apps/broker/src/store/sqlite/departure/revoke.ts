import assert from 'node:assert/strict'
import type { Revocation } from '@claudemesh/identity'
import type { Certificate, RevocationList } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { RevocationChange, RevocationOutcome } from '../../departures.ts'
import { judgeChain, listRevoked, type Revoked, suspectsOf } from '../../judge-revocation.ts'
import { endConsuming } from '../queues/consumers.ts'
import { type DepartStatements, dropWaiting, endSubscriptions, readTopics } from './depart.ts'
import type { RevocationStatements } from './statements.ts'

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
  const revoked = findRevoked(revocations, list, previous)

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
    endConsuming(statements, gone)
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

/** Members that the list revokes and the one before it did not. */
function findRevoked(
  revocations: RevocationStatements,
  list: RevocationList,
  previous: RevocationList | null,
): readonly Revoked[] {
  const meshId = list.mesh_id
  const { ids, joinedSince } = suspectsOf(list, previous)
  const named = ids.flatMap((memberId) => revocations.findCandidate({ meshId, memberId }) ?? [])
  const later = joinedSince === null ? [] : revocations.joinedSince(meshId, joinedSince)
  const candidates = new Map([...named, ...later].map((candidate) => [candidate.memberId, candidate]))
  return listRevoked(list, [...candidates.values()], (memberId) => revocations.firstSeenAt({ meshId, memberId }))
}

/** What the list in force says of a member that asks to be let in. */
export function judgeRevocation(
  revocations: RevocationStatements,
  { mesh, chain }: { readonly mesh: { readonly mesh_id: string }; readonly chain: readonly Certificate[] },
): Revocation | null {
  const meshId = mesh.mesh_id
  const inForce = revocations.findRevocations(meshId)
  if (inForce === null) return null
  return judgeChain(inForce.list, chain, (memberId) => revocations.firstSeenAt({ meshId, memberId }))
}
