/**
 * Whether what the broker says of a member is so: its chain is verified up to the root key, and its keys do not go back.
 */
import { createHash } from 'node:crypto'
import { verifyChain } from '@claudemesh/identity'
import type { Certificate, MemberRecord } from '@claudemesh/protocol'
import type { MemberRow } from './statements.ts'

/** A box key that a verified chain gives a member at an epoch. */
export interface ProvenKey {
  readonly epoch: number
  /** X25519 public key in hex. */
  readonly boxKey: string
}

export type Proof =
  /** `isNew`: the chain differs from the one that was known. */
  | { readonly ok: true; readonly row: MemberRow; readonly keys: readonly ProvenKey[]; readonly isNew: boolean }
  | { readonly ok: false; readonly reason: string }

/**
 * @param input.known what an earlier record has proven of the same member
 * @param input.latest the key of the highest epoch that is known of it, also when the member had gone in between
 * @param input.now milliseconds since the epoch
 */
export function proveRecord(input: {
  readonly mesh: { readonly meshId: string; readonly rootKey: string }
  readonly record: MemberRecord
  readonly known: MemberRow | null
  readonly latest: ProvenKey | null
  readonly now: number
}): Proof {
  const { mesh, record, known, latest, now } = input
  const { last_seen_at: lastSeenAt, summary, activity, chain } = record
  const status = record.status === 'revoked' ? 'revoked' : 'active'
  const said = { status, lastSeenAt, summary, activity } as const
  const chainDigest = createHash('sha256').update(JSON.stringify(chain)).digest()
  if (known?.chainDigest.equals(chainDigest) === true) {
    return { ok: true, row: { ...known, ...said }, keys: [], isNew: false }
  }
  const verdict = verifyChain({ mesh: { mesh_id: mesh.meshId, root_key: mesh.rootKey }, chain, now })
  if (!verdict.ok) return verdict
  const { memberId, name, role, signingKey, boxKey, epoch } = verdict.member
  if (memberId !== record.member_id) return { ok: false, reason: 'member_id_mismatch' }
  if (latest !== null && epoch < latest.epoch) return { ok: false, reason: 'epoch_rolled_back' }
  if (epoch === latest?.epoch && boxKey !== latest.boxKey) return { ok: false, reason: 'keys_replaced' }
  if (epoch === known?.epoch && signingKey !== known.signingKey) return { ok: false, reason: 'keys_replaced' }
  const notAfter = chain[0]?.not_after ?? null
  const row = { memberId, name, role, signingKey, boxKey, epoch, notAfter, chainDigest, ...said }
  return { ok: true, row, keys: listBoxKeys(memberId, chain), isNew: true }
}

/** The box keys of all epochs of a member in its own verified chain, the current one first. */
export function listBoxKeys(memberId: string, chain: readonly Certificate[]): readonly ProvenKey[] {
  return chain.flatMap((certificate) =>
    certificate.kind === 'member' && certificate.member_id === memberId
      ? [{ epoch: certificate.epoch, boxKey: certificate.box_key }]
      : [],
  )
}
