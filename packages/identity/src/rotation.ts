/**
 * New keys for a member that stays who it is (05 §5).
 *
 * 1. The new certificate says what the old one said, with new keys and the next epoch, and is signed by the old key.
 *    Role, name and end are what others granted, so a rotation carries them over.
 * 2. Nothing is returned that peers would not believe.
 *
 * It writes nothing: rotation-intent.ts puts it on the disk.
 */
import assert from 'node:assert/strict'
import { type Certificate, limits, MeshError } from '@claudemesh/protocol'
import { signMemberCertificate } from './certificate.ts'
import { verifyChain } from './chain.ts'
import type { MemberKeys } from './keys.ts'

/**
 * Certifies new keys of a member with its old ones.
 *
 * @param input.chain the member's chain so far
 * @param input.keys the keys that the chain is about
 * @param input.now milliseconds since the epoch
 * @returns the member's chain from now on
 * @throws MeshError `rotation_impossible` when nobody would believe the resulting chain: there would be too many
 *   rotations in it, or the member's certificate has expired
 */
export function rotateMember(input: {
  readonly chain: readonly Certificate[]
  readonly keys: MemberKeys
  readonly newKeys: MemberKeys
  readonly now: number
}): readonly Certificate[] {
  const { chain, keys, newKeys, now } = input
  const [old] = chain
  const last = chain.at(-1)
  assert(old?.kind === 'member' && last !== undefined, 'a member rotates with its own chain')
  assert(
    keys.signing.publicKey === old.signing_key && keys.box.publicKey === old.box_key,
    'a rotation is signed with the key that the chain is about',
  )
  assertUnused(newKeys, chain)
  const certificate = signMemberCertificate({
    meshId: old.mesh_id,
    memberId: old.member_id,
    name: old.name,
    role: old.role,
    keys: newKeys,
    epoch: old.epoch + 1,
    // A clock that was set back since the last epoch must not make a certificate older than its issuer.
    notBefore: Math.max(now, old.not_before),
    notAfter: old.not_after ?? null,
    issuer: keys.signing,
  })
  const rotated = [certificate, ...chain]
  const verdict = verifyChain({ mesh: { mesh_id: old.mesh_id, root_key: last.issuer_key }, chain: rotated, now })
  if (!verdict.ok) throw impossible(verdict.reason)
  return rotated
}

/** An old key that came back would still be in the hands of whoever it was rotated away from. */
function assertUnused(keys: MemberKeys, chain: readonly Certificate[]): void {
  const known = new Set(chain.flatMap((one) => (one.kind === 'member' ? [one.signing_key, one.box_key] : [])))
  assert(
    !known.has(keys.signing.publicKey) && !known.has(keys.box.publicKey),
    'a rotation brings keys never used before',
  )
}

function impossible(reason: string): MeshError {
  const detail =
    reason === 'rotations_too_many'
      ? `there are ${limits.chainRotationsMax} rotations between this member and the root key, as many as peers accept`
      : `peers would not believe the new certificate: ${reason}`
  return new MeshError('rotation_impossible', { detail, data: { reason } })
}
