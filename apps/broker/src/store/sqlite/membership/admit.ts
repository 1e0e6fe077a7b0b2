import assert from 'node:assert/strict'
import type { Admission, AdmissionOutcome, AdmissionRefusal } from '../../store.ts'
import { judgeRevocation } from '../departure/revoke.ts'
import type { RevocationStatements } from '../departure/statements.ts'
import type { AdmissionStatements } from './statements.ts'

interface AdmitStatements {
  readonly admission: AdmissionStatements
  readonly revocations: RevocationStatements
}

/** Lets a member in. Everything is judged before anything is written, so that a refusal leaves nothing behind. */
export function admit({ admission: statements, revocations }: AdmitStatements, admission: Admission): AdmissionOutcome {
  const { mesh, memberId } = admission
  const key = { meshId: mesh.mesh_id, memberId }
  const known = statements.findMesh(key.meshId)
  const refusal =
    judgeMesh(known?.rootKey ?? null, admission) ??
    judgeCredentials(statements.findCredentials(key), admission) ??
    judgeRevocation(revocations, admission) ??
    judgeInvites(statements, admission)
  if (refusal !== null) return { kind: refusal }

  if (known === undefined) {
    statements.insertMesh(admission)
    audit(statements, admission, 'mesh_registered')
  }
  const changed = keepMember(statements, admission)
  const registered = statements.findMesh(key.meshId)
  assert(registered !== undefined, 'a mesh is there once it was inserted')
  return { kind: 'admitted', mesh: registered, changed }
}

function judgeMesh(rootKey: string | null, { mesh, mayRegister }: Admission): AdmissionRefusal | null {
  if (rootKey === null) return mayRegister ? null : 'mesh_unknown'
  return rootKey === mesh.root_key ? null : 'mesh_conflict'
}

function judgeCredentials(
  known: ReturnType<AdmissionStatements['findCredentials']>,
  { epoch, signingKey }: Admission,
): AdmissionRefusal | null {
  if (known === undefined) return null
  if (known.status === 'revoked') return 'member_revoked'
  if (epoch < known.epoch) return 'epoch_stale'
  return epoch === known.epoch && signingKey !== known.signingKey ? 'epoch_conflict' : null
}

function judgeInvites(statements: AdmissionStatements, admission: Admission): AdmissionRefusal | null {
  for (const invite of newUses(statements, admission)) {
    // The certificate's own dates are the joiner's word; what counts is when it first stands before the broker.
    if (invite.memberId === admission.memberId && admission.at >= invite.notAfter) return 'invite_expired'
    const used = statements.countUses({ ...invite, meshId: admission.mesh.mesh_id })?.used ?? 0
    if (used >= invite.uses) return 'invite_used_up'
  }
  return null
}

/** The uses that this chain shows and that have not been counted yet: its own, and those of issuers never seen here. */
function newUses(statements: AdmissionStatements, admission: Admission): Admission['invites'] {
  const meshId = admission.mesh.mesh_id
  return admission.invites.filter((use) => (statements.countUses({ ...use, meshId })?.mine ?? 0) === 0)
}

function keepMember(statements: AdmissionStatements, admission: Admission): 'joined' | 'renewed' | null {
  const key = { meshId: admission.mesh.mesh_id, memberId: admission.memberId }
  for (const use of newUses(statements, admission)) {
    statements.insertUse({ ...use, meshId: key.meshId, at: admission.at })
  }
  const known = statements.findCredentials(key)
  if (known === undefined) {
    statements.insertMember(admission)
    audit(statements, admission, 'member_joined')
    return 'joined'
  }
  const returned = known.status === 'left'
  if (returned) assert.equal(statements.bringBack(key), 1, 'a member comes back that left')
  const renewed = known.chain !== JSON.stringify(admission.chain)
  const same = known.hostFingerprint === admission.hostFingerprint
  const stays = known.ephemeralTtlMs === null && admission.ephemeralTtlMs === null
  if (!returned && !renewed && same && stays) return null
  assert.equal(statements.updateMember(admission), 1, 'an active member is renewed')
  if (!returned && !renewed) return null
  audit(statements, admission, returned ? 'member_returned' : 'member_renewed')
  return returned ? 'joined' : 'renewed'
}

function audit(statements: AdmissionStatements, admission: Admission, action: string): void {
  const { mesh, at, memberId, name, role, epoch } = admission
  statements.audit({ meshId: mesh.mesh_id, at, actor: memberId, action, detail: { name, role, epoch } })
}
