/**
 * Letting members in while other nodes do the same.
 *
 * 1. What is written was judged under the lock of the mesh, so that an invite of one use admits one of two members that
 *    come at once, and of two rotations out of one epoch one is let in.
 * 2. A member that comes back as it was writes nothing, and is let in without the lock: after a restart a whole mesh
 *    comes back at once, and it need not come one by one.
 */
import assert from 'node:assert/strict'
import type { Revocation } from '@claudemesh/identity'
import type { Session } from '@claudemesh/storage/postgres'
import { type AdmissionPlan, changesNothing, judgeAdmission, type KnownAtAdmission } from '../../judge-admission.ts'
import { judgeChain, membersOf } from '../../judge-revocation.ts'
import type { Mesh } from '../../rows.ts'
import type { Admission, AdmissionOutcome } from '../../store.ts'
import { findFirstSeen } from '../departure/statements.ts'
import { lockMeshes } from '../statements.ts'
import {
  audit,
  bringMemberBack,
  countInviteUses,
  findKnown,
  type Known,
  registerMesh,
  renewMember,
  saveInviteUses,
  saveNewMember,
} from './statements.ts'

interface Judged {
  readonly mesh: Mesh | null
  readonly verdict: ReturnType<typeof judgeAdmission>
}

export async function admit(session: Session, admission: Admission): Promise<AdmissionOutcome> {
  const glance = await judge(session, admission)
  if (glance.verdict.kind === 'refused') return { kind: glance.verdict.refusal }
  if (changesNothing(glance.verdict.plan)) return admitted(glance.mesh, glance.verdict.plan)

  const registered = glance.mesh === null && (await registerMesh(session, admission))
  if (registered) await note(session, admission, 'mesh_registered')
  await lockMeshes(session, [admission.mesh.mesh_id])
  const { mesh, verdict } = await judge(session, admission)
  if (verdict.kind === 'refused') {
    assert(!registered, 'nobody else knows of a mesh before it is committed')
    return { kind: verdict.refusal }
  }
  await write(session, admission, verdict.plan)
  return admitted(mesh, verdict.plan)
}

function admitted(mesh: Mesh | null, { changed }: AdmissionPlan): AdmissionOutcome {
  assert(mesh !== null, 'a mesh is there once it was inserted')
  return { kind: 'admitted', mesh, changed }
}

async function judge(session: Session, admission: Admission): Promise<Judged> {
  const known = await findKnown(session, { meshId: admission.mesh.mesh_id, memberId: admission.memberId })
  const facts: KnownAtAdmission = {
    rootKey: known?.mesh.rootKey ?? null,
    credentials: known?.credentials ?? null,
    revocation: await findRevocationOf(session, admission, known),
    invites: admission.invites.length === 0 ? [] : await countInviteUses(session, admission),
  }
  return { mesh: known?.mesh ?? null, verdict: judgeAdmission(admission, facts) }
}

async function findRevocationOf(
  session: Session,
  { mesh, chain }: Admission,
  known: Known | null,
): Promise<Revocation | null> {
  if (known === null || known.list === null) return null
  return judgeChain(known.list, chain, await findFirstSeen(session, mesh.mesh_id, membersOf([chain])))
}

async function write(session: Session, admission: Admission, plan: AdmissionPlan): Promise<void> {
  const key = { meshId: admission.mesh.mesh_id, memberId: admission.memberId }
  if (plan.uses.length > 0) await saveInviteUses(session, admission, plan.uses)
  if (plan.member === 'insert') await saveNewMember(session, admission)
  if (plan.member === 'bring_back')
    assert.equal(await bringMemberBack(session, key), 1, 'a member comes back that left')
  if (plan.member === 'bring_back' || plan.member === 'update') {
    assert.equal(await renewMember(session, admission), 1, 'an active member is renewed')
  }
  if (plan.action !== null) await note(session, admission, plan.action)
}

function note(session: Session, admission: Admission, action: string): Promise<void> {
  const { mesh, at, memberId, name, role, epoch } = admission
  return audit(session, { meshId: mesh.mesh_id, at }, [{ actor: memberId, action, detail: { name, role, epoch } }])
}
