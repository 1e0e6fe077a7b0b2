import { join } from 'node:path'
import { generateMemberKeys, mergeRevocations, rotateMember, signRevocationList } from '@claudemesh/identity'
import { expect, test } from 'vitest'
import { ManualRuntime } from '../../../../../test/support/manual-runtime.ts'
import { recordOf, type TestMember, TestMembership } from '../../../../../test/support/member-records.ts'
import { scratchDirectory } from '../../../../../test/support/scratch-directory.ts'
import { Members } from '../members.ts'

function open() {
  const runtime = new ManualRuntime()
  const membership = new TestMembership({ now: runtime.time })
  const { mesh, founder } = membership
  const [me, bob] = [membership.join('me'), membership.join('bob')]
  const members = Members.open({
    path: join(scratchDirectory(), 'members.db'),
    runtime,
    mesh: { meshId: mesh.mesh_id, rootKey: mesh.root_key },
    selfId: me.memberId,
  })
  const standing = (member: TestMember) => members.signingKeys.standing(member.keys.signing.publicKey, me.chain)
  const revoke = (member: TestMember) => {
    const changes = { members: [{ member_id: member.memberId, at: runtime.time }] }
    const list = mergeRevocations({ meshId: mesh.mesh_id, previous: null, changes, now: runtime.time })
    const issuer = { signing: founder.keys.signing, chain: founder.chain }
    return members.revocations.apply({ list: signRevocationList({ mesh, list, issuer }), chain: founder.chain })
  }
  return { runtime, membership, me, bob, members, standing, revoke }
}

test('the key of a listed member counts, also after it was rotated; that of somebody else does not', () => {
  const { runtime, membership, bob, members, standing } = open()
  expect(standing(bob)).toBe('unknown')
  members.applyDirectory([recordOf(bob)])
  expect(standing(bob)).toBe('trusted')
  const newKeys = generateMemberKeys()
  const chain = rotateMember({ chain: bob.chain, keys: bob.keys, newKeys, now: runtime.time })
  const rotated = { ...bob, keys: newKeys, chain }
  expect(standing(rotated)).toBe('unknown')
  members.applyDirectory([recordOf(rotated)])
  expect([standing(bob), standing(rotated)]).toEqual(['trusted', 'trusted'])
  expect(standing(new TestMembership({ now: runtime.time }).founder)).toBe('unknown')
  expect(standing(membership.founder)).toBe('unknown')
  members.close()
})

test('no key of a revoked member counts, and none of one that has gone', () => {
  const { membership, bob, members, standing, revoke } = open()
  members.applyDirectory([recordOf(membership.founder), recordOf(bob)])
  expect(revoke(bob)).toMatchObject({ kind: 'applied' })
  expect([standing(bob), standing(membership.founder)]).toEqual(['revoked', 'trusted'])
  members.keepOnly([])
  expect([standing(bob), standing(membership.founder)]).toEqual(['unknown', 'unknown'])
  members.close()
})

test('the own key counts before anybody has listed it, until it is revoked', () => {
  const { me, members, standing, revoke } = open()
  expect(standing(me)).toBe('trusted')
  expect(revoke(me)).toMatchObject({ kind: 'applied' })
  expect(standing(me)).toBe('revoked')
  members.close()
})
