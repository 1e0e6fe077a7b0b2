import assert from 'node:assert/strict'
import type { RevocationList } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { Session } from '@claudemesh/storage/postgres'
import type { RevocationChange, RevocationOutcome } from '../../departures.ts'
import { listRevoked, membersOf, type Revoked, suspectsOf } from '../../judge-revocation.ts'
import { audit, findKnown } from '../membership/statements.ts'
import { lockMeshes } from '../statements.ts'
import { depart } from './depart.ts'
import { findFirstSeen, findRevocations, listCandidates, markMembersRevoked, saveRevocations } from './statements.ts'

/**
 * Puts a list in force. Everything is judged before anything is written, so that a refusal leaves nothing behind; and
 * under the lock of the mesh, so that a message is accepted before all of it or after it, and nobody comes in meanwhile.
 */
export async function putRevocations(session: Session, change: RevocationChange): Promise<RevocationOutcome> {
  const { list, issuer, at } = change
  const meshId = list.mesh_id
  await lockMeshes(session, [meshId])
  const previous = (await findRevocations(session, meshId))?.list ?? null
  if ((previous?.number ?? null) !== change.follows) return { kind: 'stale' }
  if (issuer !== null) {
    const known = (await findKnown(session, { meshId, memberId: issuer.memberId }))?.credentials
    if (known?.status !== 'active' || known.signingKey !== issuer.signingKey) return { kind: 'issuer_refused' }
  }
  const revoked = await findRevoked(session, list, previous)
  const memberIds = revoked.map(({ memberId }) => memberId)

  assert.equal(await saveRevocations(session, change), 1, 'a list that follows has a higher number')
  const marked = await markMembersRevoked(session, { meshId, memberIds })
  assert.equal(marked, memberIds.length, 'whoever was revoked before is no candidate')
  const actor = issuer?.memberId ?? 'root'
  const entries = revoked.map(({ memberId, revocation }) => {
    return { actor, action: 'member_revoked', detail: { member_id: memberId, ...revocation } }
  })
  await audit(session, { meshId, at }, [
    { actor, action: 'revocations_put', detail: { number: list.number } },
    ...entries,
  ])
  const departure = await depart(session, { meshId, memberIds }, change)
  crashPoint('broker.revoke.before-commit')
  return { kind: 'stored', revoked: memberIds, departure }
}

/** Members that the list revokes and the one before it did not. */
async function findRevoked(
  session: Session,
  list: RevocationList,
  previous: RevocationList | null,
): Promise<readonly Revoked[]> {
  const meshId = list.mesh_id
  const candidates = await listCandidates(session, meshId, suspectsOf(list, previous))
  if (candidates.length === 0) return []
  const firstSeenAt = await findFirstSeen(session, meshId, membersOf(candidates.map(({ chain }) => chain)))
  return listRevoked(list, candidates, firstSeenAt)
}
