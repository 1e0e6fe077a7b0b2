/** An admin gone bad, before anybody has revoked it: it must not be able to see to it that nobody ever can. */
import { type Certificate, limits, type RevocationList } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { foundMesh } from './founding.ts'
import { generateMemberKeys, generateSigningKeyPair } from './keys.ts'
import { mergeRevocations, signRevocationList, verifyRevocationList } from './revocation.ts'
import { signDocument } from './signed-document.ts'

const meshId = '01JD8Z6K3V0000000000000000'
const now = 1_700_000_000_000
const root = generateSigningKeyPair()
const keys = generateMemberKeys()
const { mesh, chain } = foundMesh({ slug: 'home', name: 'ada', meshId, now, keys, root })
const invented = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ member_id: index.toString(16).padStart(64, '0'), at: now }))
const inventedInvites = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ invite_id: index.toString().padStart(26, '0'), at: now }))

const judge = (list: RevocationList, issuerChain: readonly Certificate[], previous: RevocationList | null) =>
  verifyRevocationList({ mesh, list, issuerChain, previous, now })

/** A list that somebody signs who keeps to no rule. */
function forge(content: Partial<RevocationList>): RevocationList {
  const claims = {
    ...{ mesh_id: meshId, number: 1, revoked_members: [], revoked_invites: [], issued_at: now },
    ...content,
    issuer_key: keys.signing.publicKey,
  }
  return { ...claims, signature: signDocument('claudemesh-revocation-v1', claims, keys.signing) }
}

test('a list that an admin has filled as far as it can still takes that admin, by the root key', () => {
  const full = forge({ revoked_members: invented(limits.revocationsByAdminMax) })
  expect(judge(full, chain, null)).toMatchObject({ ok: true })
  const changes = { members: [{ member_id: keys.signing.publicKey, at: now }] }
  const next = mergeRevocations({ meshId, previous: full, changes, now })
  expect(() => signRevocationList({ mesh, list: next, issuer: { signing: keys.signing, chain } })).toThrow(
    expect.objectContaining({ code: 'revocation_list_full' }),
  )
  const byRoot = signRevocationList({ mesh, list: next, issuer: { signing: root, chain: [] } })
  expect(judge(byRoot, [], full)).toMatchObject({ ok: true, issuer: null })
})

test('a list of an admin that goes into the places of the root key is not believed', () => {
  const over = limits.revocationsByAdminMax + 1
  for (const content of [{ revoked_members: invented(over) }, { revoked_invites: inventedInvites(over) }]) {
    expect(judge(forge(content), chain, null)).toEqual({ ok: false, reason: 'entries_reserved' })
  }
})
