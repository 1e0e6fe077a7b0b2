/** Who is let in, on what an engine knows of them: the same for every engine, and nothing in it reads or writes. */
import type { Admission as InviteUse, Revocation } from '@claudemesh/identity'
import type { MemberStatus } from './member-states.ts'
import type { Admission, AdmissionRefusal } from './store.ts'

/** A member as it was let in the last time. */
export interface Credentials {
  readonly epoch: number
  readonly signingKey: string
  /** JSON. */
  readonly chain: string
  readonly status: MemberStatus
  readonly hostFingerprint: string | null
  readonly ephemeralTtlMs: number | null
}

/** What an engine knows when somebody asks to be let in. */
export interface KnownAtAdmission {
  /** Of the mesh; null: never heard of. */
  readonly rootKey: string | null
  readonly credentials: Credentials | null
  /** What the list in force says of the member. */
  readonly revocation: Revocation | null
  /** Of each invite in the chain, in the order of `Admission.invites`. */
  readonly invites: readonly {
    /** How many members it has admitted. */
    readonly used: number
    /** Whether this one is among them. */
    readonly mine: boolean
  }[]
}

/** What is to be written; `member: 'keep'` and nothing else: nothing is. */
export interface AdmissionPlan {
  readonly registersMesh: boolean
  /** The uses that this chain shows and that have not been counted yet: its own, and those of issuers never seen. */
  readonly uses: readonly InviteUse[]
  readonly member: 'insert' | 'bring_back' | 'update' | 'keep'
  readonly changed: 'joined' | 'renewed' | null
  /** For the audit log; null: nothing that it tells of. */
  readonly action: 'member_joined' | 'member_returned' | 'member_renewed' | null
}

export type AdmissionVerdict =
  | { readonly kind: 'admitted'; readonly plan: AdmissionPlan }
  | { readonly kind: 'refused'; readonly refusal: AdmissionRefusal }

/** Everything is judged before anything is written, so that a refusal leaves nothing behind. */
export function judgeAdmission(admission: Admission, known: KnownAtAdmission): AdmissionVerdict {
  const fresh = admission.invites.flatMap((use, index) => {
    const invite = known.invites[index] ?? { used: 0, mine: false }
    return invite.mine ? [] : [{ use, used: invite.used }]
  })
  const refusal =
    judgeMesh(admission, known.rootKey) ??
    judgeCredentials(admission, known.credentials) ??
    known.revocation?.reason ??
    judgeInvites(admission, fresh)
  if (refusal !== null) return { kind: 'refused', refusal }
  const uses = fresh.map(({ use }) => use)
  return { kind: 'admitted', plan: { registersMesh: known.rootKey === null, uses, ...planMember(admission, known) } }
}

/** Whether nothing is written at all: a member that comes back as it was. */
export function changesNothing(plan: AdmissionPlan): boolean {
  return plan.member === 'keep' && plan.uses.length === 0
}

function judgeMesh({ mesh, mayRegister }: Admission, rootKey: string | null): AdmissionRefusal | null {
  if (rootKey === null) return mayRegister ? null : 'mesh_unknown'
  return rootKey === mesh.root_key ? null : 'mesh_conflict'
}

function judgeCredentials(admission: Admission, known: Credentials | null): AdmissionRefusal | null {
  if (known === null) return null
  if (known.status === 'revoked') return 'member_revoked'
  if (admission.epoch < known.epoch) return 'epoch_stale'
  return signingKeyAt(admission, known.epoch) === known.signingKey ? null : 'epoch_conflict'
}

/**
 * The member's key of an epoch up to its present one. Only a chain through the key that was known is a rotation of it:
 * whoever has a key of before can rotate that as often as it takes to come to a higher epoch.
 */
function signingKeyAt({ memberId, chain }: Admission, epoch: number): string | null {
  const certificate = chain.find((one) => one.kind === 'member' && one.member_id === memberId && one.epoch === epoch)
  return certificate?.kind === 'member' ? certificate.signing_key : null
}

function judgeInvites(
  admission: Admission,
  fresh: readonly { readonly use: InviteUse; readonly used: number }[],
): AdmissionRefusal | null {
  for (const { use, used } of fresh) {
    // A certificate's dates are the word of who made it; what counts is when that member first stands before the broker,
    // itself or as the admin behind another one.
    if (admission.at >= use.notAfter) return 'invite_expired'
    if (used >= use.uses) return 'invite_used_up'
  }
  return null
}

function planMember(
  admission: Admission,
  { credentials: known }: KnownAtAdmission,
): Pick<AdmissionPlan, 'member' | 'changed' | 'action'> {
  if (known === null) return { member: 'insert', changed: 'joined', action: 'member_joined' }
  if (known.status === 'left') return { member: 'bring_back', changed: 'joined', action: 'member_returned' }
  if (known.chain !== JSON.stringify(admission.chain)) {
    return { member: 'update', changed: 'renewed', action: 'member_renewed' }
  }
  const same = known.hostFingerprint === admission.hostFingerprint
  const stays = known.ephemeralTtlMs === null && admission.ephemeralTtlMs === null
  return { member: same && stays ? 'keep' : 'update', changed: null, action: null }
}
