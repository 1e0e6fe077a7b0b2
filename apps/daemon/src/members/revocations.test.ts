import { join } from 'node:path'
import {
  acceptInvite,
  createInvite,
  decodeInviteToken,
  generateMemberKeys,
  mergeRevocations,
  type RevocationChanges,
  signRevocationList,
} from '@claudemesh/identity'
import type { MemberRecord } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { recordOf, type TestMember, TestMembership } from '../../../../test/support/member-records.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { Members } from './members.ts'
import type { SignedRevocations } from './revocations.ts'

function open() {
  const runtime = new ManualRuntime()
  const membership = new TestMembership({ now: runtime.time })
  const [me, bob] = [membership.join('me'), membership.join('bob')]
  const path = join(scratchDirectory(), 'members.db')
  const mesh = { meshId: membership.mesh.mesh_id, rootKey: membership.mesh.root_key }
  const reopen = () => Members.open({ path, runtime, mesh, selfId: me.memberId })
  const members = reopen()
  applyAll(members, [recordOf(membership.founder), recordOf(me), recordOf(bob)])
  runtime.advance(1_000)
  const issue = (changes: RevocationChanges, previous: SignedRevocations | null = null, by = membership.founder) =>
    signedBy(by, { membership, previous, changes, now: runtime.time })
  return { runtime, membership, me, bob, members, reopen, issue }
}

function signedBy(
  { keys, chain }: TestMember,
  o: {
    readonly membership: TestMembership
    readonly previous: SignedRevocations | null
    readonly changes: RevocationChanges
    readonly now: number
  },
): SignedRevocations {
  const { mesh } = o.membership
  const list = mergeRevocations({
    meshId: mesh.mesh_id,
    previous: o.previous?.list ?? null,
    changes: o.changes,
    now: o.now,
  })
  return { list: signRevocationList({ mesh, list, issuer: { signing: keys.signing, chain } }), chain }
}

describe('a revocation list', () => {
  test('revokes whom it names, also when the broker goes on listing them as active, and after a start', () => {
    const { members, bob, issue, runtime, reopen, membership, me } = open()
    const signed = issue({ members: [{ member_id: bob.memberId, at: runtime.time, reason: 'stolen' }] })
    expect(members.revocations.apply(signed)).toEqual({ kind: 'applied', revoked: [bob.memberId] })
    expect(members.findById(bob.memberId)?.status).toBe('revoked')
    applyAll(members, [recordOf(membership.founder), recordOf(me), recordOf(bob)])
    expect(members.findById(bob.memberId)?.status).toBe('revoked')
    members.close()

    const again = reopen()
    expect(again.revocations.newest).toEqual(signed)
    expect(again.revocations.apply(signed)).toEqual({ kind: 'known' })
    again.applyDirectory([recordOf(bob, { chain: [...bob.chain] })])
    expect(again.findById(bob.memberId)?.status).toBe('revoked')
    again.close()
  })

  test('that is older than the known one, or takes something back, changes nothing', () => {
    const { members, bob, me, issue, runtime } = open()
    const first = issue({ members: [{ member_id: bob.memberId, at: runtime.time }] })
    const second = issue({ invites: [{ invite_id: '01HZ0000000000000000000009', at: runtime.time }] }, first)
    members.revocations.apply(second)
    expect(members.revocations.apply(first)).toEqual({ kind: 'ignored', reason: 'number_not_newer' })
    const forgetful = issue({ members: [{ member_id: me.memberId, at: runtime.time }] }, null)
    const third = { ...forgetful, list: { ...forgetful.list, number: 3 } }
    expect(members.revocations.apply(third)).toMatchObject({ kind: 'ignored' })
    expect(members.revocations.newest).toEqual(second)
    expect(members.findById(bob.memberId)?.status).toBe('revoked')
    expect(members.findById(me.memberId)?.status).toBe('active')
    members.close()
  })

  test('of somebody who is no admin of this mesh is not believed', () => {
    const { members, bob, me, issue, runtime } = open()
    const stranger = new TestMembership({ now: runtime.time }).founder
    const changes = { members: [{ member_id: bob.memberId, at: runtime.time }] }
    expect(members.revocations.apply(issue(changes, null, stranger))).toMatchObject({ kind: 'ignored' })
    const good = issue(changes)
    expect(members.revocations.apply({ ...good, chain: me.chain })).toMatchObject({ kind: 'ignored' })
    expect(members.revocations.apply({ ...good, chain: [] })).toMatchObject({ kind: 'ignored' })
    expect(members.findById(bob.memberId)?.status).toBe('active')
    members.close()
  })

  test('revokes who came in by an invite after that was revoked, and nobody who came before', () => {
    const { members, issue, runtime, membership } = open()
    const { token, certificate } = createInvite({
      mesh: membership.mesh,
      brokerUrl: 'ws://127.0.0.1:1/v1/ws',
      issuer: { signing: membership.founder.keys.signing, chain: membership.founder.chain },
      inviteId: '01HZ0000000000000000000077',
      role: 'member',
      uses: 9,
      notBefore: runtime.time,
      notAfter: runtime.time + 3_600_000,
    })
    const join = (name: string): TestMember => {
      const keys = generateMemberKeys()
      const chain = acceptInvite({ invite: decodeInviteToken(token), name, keys, now: runtime.time })
      return { memberId: keys.signing.publicKey, name, keys, chain }
    }
    const early = join('early')
    members.applyDirectory([recordOf(early)])
    runtime.advance(1_000)
    const at = runtime.time
    const signed = issue({ invites: [{ invite_id: certificate.invite_id, at }] })
    expect(members.revocations.apply(signed)).toEqual({ kind: 'applied', revoked: [] })
    runtime.advance(1_000)
    const late = join('late')
    members.applyDirectory([recordOf(early), recordOf(late)])
    expect(members.findById(early.memberId)?.status).toBe('active')
    expect(members.findById(late.memberId)?.status).toBe('revoked')
    members.close()
  })
})

/** What the broker says of all members. */
function applyAll(members: Members, records: readonly MemberRecord[]): readonly string[] {
  const learnt = members.applyDirectory(records)
  members.keepOnly(records.map((record) => record.member_id))
  return learnt
}
