import type { Certificate, MeshRecord } from '@claudemesh/protocol'
import { signMemberCertificate } from './certificate.ts'
import type { MemberKeys, SigningKeyPair } from './keys.ts'
import { signMeshRecord } from './mesh-record.ts'
import { assertMemberName, assertMeshSlug } from './names.ts'

/**
 * Makes a mesh and its first member, an admin certified by the root key.
 *
 * @param input.now milliseconds since the epoch
 * @throws MeshError `invalid_request` when the slug or the name is not one
 */
export function foundMesh(input: {
  readonly slug: string
  readonly name: string
  readonly meshId: string
  readonly now: number
  readonly keys: MemberKeys
  readonly root: SigningKeyPair
}): { readonly mesh: MeshRecord; readonly chain: readonly Certificate[] } {
  const { slug, name, meshId, now, keys, root } = input
  assertMeshSlug(slug)
  assertMemberName(name)
  const mesh = signMeshRecord({ meshId, slug, createdAt: now, root })
  const certificate = signMemberCertificate({
    meshId,
    memberId: keys.signing.publicKey,
    name,
    role: 'admin',
    keys,
    epoch: 0,
    notBefore: now,
    notAfter: null,
    issuer: root,
  })
  return { mesh, chain: [certificate] }
}
