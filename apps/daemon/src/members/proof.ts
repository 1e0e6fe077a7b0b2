/**
 * Whether what the broker says of a member is so: its chain is verified up to the root key, and its keys do not go back.
 */
import { createHash } from 'node:crypto'
import { verifyChain } from '@claudemesh/identity'
import type { Certificate, MemberRecord } from '@claudemesh/protocol'
import type { KnownKeys, MemberRow } from './statements.ts'

/** The keys that a verified chain gives a member at an epoch. */
export interface ProvenKey {
  readonly epoch: number
  /** X25519 public key in hex. */
  readonly boxKey: string
  /** Ed25519 public key in hex. */
  readonly signingKey: string
}

export type Proof =
  /** `isNew`: the chain differs from the one that was known. */
  | { readonly ok: true; readonly row: MemberRow; readonly keys: readonly ProvenKey[]; readonly isNew: boolean }
  | { readonly ok: false; readonly reason: string }

/**
 * @param input.known what an earlier record has proven of the same member
 * @param input.latest the keys of the highest epoch that is known of it, also when the member had gone in between
 * @param input.now milliseconds since the epoch
 */
export function proveRecord(input: {
  readonly mesh: { readonly meshId: string; readonly rootKey: string }
  readonly record: MemberRecord
  readonly known: MemberRow | null
  readonly latest: KnownKeys | null
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
  if (latest !== null && !leadsThrough(memberId, chain, latest)) return { ok: false, reason: 'keys_replaced' }
  if (known !== null && !leadsThrough(memberId, chain, known)) return { ok: false, reason: 'keys_replaced' }
  const notAfter = chain[0]?.not_after ?? null
  const row = { memberId, name, role, signingKey, boxKey, epoch, notAfter, chainDigest, ...said }
  return { ok: true, row, keys: listKeys(memberId, chain), isNew: true }
}

/**
 * Whether a chain has the keys that are known of an epoch. One that has not is no rotation of these, however high its own
 * epoch is: whoever has a key of before can rotate that as often as it takes.
 */
function leadsThrough(memberId: string, chain: readonly Certificate[], known: KnownKeys): boolean {
  const proven = listKeys(memberId, chain).find(({ epoch }) => epoch === known.epoch)
  if (proven === undefined || proven.boxKey !== known.boxKey) return false
  return known.signingKey === null || proven.signingKey === known.signingKey
}

/** The keys of all epochs of a member in its own verified chain, the current one first. */
export function listKeys(memberId: string, chain: readonly Certificate[]): readonly ProvenKey[] {
  return chain.flatMap((certificate) =>
    certificate.kind === 'member' && certificate.member_id === memberId
      ? [{ epoch: certificate.epoch, boxKey: certificate.box_key, signingKey: certificate.signing_key }]
      : [],
  )
}
