import { MeshError } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { verifyChain } from './chain.ts'
import { foundMesh } from './founding.ts'
import { generateMemberKeys, generateSigningKeyPair } from './keys.ts'
import { verifyMeshRecord } from './mesh-record.ts'

const input = {
  slug: 'home',
  name: 'ada',
  meshId: '01JD8Z6K3V0000000000000000',
  now: 1_700_000_000_000,
  keys: generateMemberKeys(),
  root: generateSigningKeyPair(),
}

test('a new mesh is signed by its root, and its first member is an admin at once', () => {
  const { mesh, chain } = foundMesh(input)
  expect(verifyMeshRecord(mesh)).toBe(true)
  expect(verifyChain({ mesh, chain, now: input.now })).toMatchObject({
    ok: true,
    member: { name: 'ada', role: 'admin', epoch: 0, invites: [] },
  })
})

for (const change of [{ slug: '' }, { slug: 'Home' }, { slug: '../home' }, { slug: 'h'.repeat(33) }, { name: 'Ada' }]) {
  test(`no mesh is made with ${JSON.stringify(change)}`, () => {
    expect(() => foundMesh({ ...input, ...change })).toThrow(MeshError)
  })
}
