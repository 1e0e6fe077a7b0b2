import assert from 'node:assert/strict'
import { type AdmissionPlan, judgeAdmission } from '../../judge-admission.ts'
import type { Admission, AdmissionOutcome } from '../../store.ts'
import { judgeRevocation } from '../departure/revoke.ts'
import type { RevocationStatements } from '../departure/statements.ts'
import type { AdmissionStatements } from './statements.ts'

interface AdmitStatements {
  readonly admission: AdmissionStatements
  readonly revocations: RevocationStatements
}

/** Lets a member in. Everything is judged before anything is written, so that a refusal leaves nothing behind. */
export function admit({ admission: statements, revocations }: AdmitStatements, admission: Admission): AdmissionOutcome {
  const meshId = admission.mesh.mesh_id
  const verdict = judgeAdmission(admission, {
    rootKey: statements.findMesh(meshId)?.rootKey ?? null,
    credentials: statements.findCredentials({ meshId, memberId: admission.memberId }) ?? null,
    revocation: judgeRevocation(revocations, admission),
    invites: admission.invites.map((use) => statements.countUses({ ...use, meshId })),
  })
  if (verdict.kind === 'refused') return { kind: verdict.refusal }
  write(statements, admission, verdict.plan)
  const mesh = statements.findMesh(meshId)
  assert(mesh !== undefined, 'a mesh is there once it was inserted')
  return { kind: 'admitted', mesh, changed: verdict.plan.changed }
}

function write(statements: AdmissionStatements, admission: Admission, plan: AdmissionPlan): void {
  const key = { meshId: admission.mesh.mesh_id, memberId: admission.memberId }
  if (plan.registersMesh) {
    statements.insertMesh(admission)
    audit(statements, admission, 'mesh_registered')
  }
  for (const use of plan.uses) statements.insertUse({ ...use, meshId: key.meshId, at: admission.at })
  if (plan.member === 'insert') statements.insertMember(admission)
  if (plan.member === 'bring_back') assert.equal(statements.bringBack(key), 1, 'a member comes back that left')
  if (plan.member === 'bring_back' || plan.member === 'update') {
    assert.equal(statements.updateMember(admission), 1, 'an active member is renewed')
  }
  if (plan.action !== null) audit(statements, admission, plan.action)
}

function audit(statements: AdmissionStatements, admission: Admission, action: string): void {
  const { mesh, at, memberId, name, role, epoch } = admission
  statements.audit({ meshId: mesh.mesh_id, at, actor: memberId, action, detail: { name, role, epoch } })
}
