import { createHash } from 'node:crypto'
import {
  type Certificate,
  canonicalJson,
  type InviteCertificate,
  limits,
  type MemberCertificate,
  MeshError,
  type RevocationList,
  type RevokedMember,
  revocationListSchema,
} from '@claudemesh/protocol'
import fc from 'fast-check'
import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import { signInviteCertificate, signMemberCertificate } from './certificate.ts'
import { clockToleranceMs } from './chain.ts'
import { findRevocation } from './find-revocation.ts'
import { importBoxKeyPair, importSigningKeyPair, type MemberKeys, type SigningKeyPair } from './keys.ts'
import { mergeRevocations, type RevocationChanges, signRevocationList, verifyRevocationList } from './revocation.ts'
import { rotateMember } from './rotation.ts'
import { signDocument } from './signed-document.ts'

const day = 86_400_000
const founded = 1_700_000_000_000
const joined = founded + day
const now = founded + 30 * day
const inviteEnd = founded + 20 * day
const meshId = '01JD8Z6K3V0000000000000000'
const otherMeshId = '01JD8Z6K3V0000000000000001'
const inviteId = '01JD8Z6K3V0000000000000002'
const adminInviteId = '01JD8Z6K3V0000000000000003'

const root = signingPair('root')
const founder = memberKeys('founder')
const admin = memberKeys('admin')
const bob = memberKeys('bob')
const carol = memberKeys('carol')
const inviteKey = signingPair('invite')
const adminInviteKey = signingPair('admin invite')
const mesh = { mesh_id: meshId, root_key: root.publicKey }

// root -> founder -> admin invite -> admin -> invite -> bob
const founderChain = [member({ name: 'ada', role: 'admin', keys: founder, notBefore: founded, issuer: root })]
const adminInvite = delegation({ inviteId: adminInviteId, role: 'admin', key: adminInviteKey, issuer: founder.signing })
const adminChain = [member({ role: 'admin', keys: admin, issuer: adminInviteKey }), adminInvite, ...founderChain]
const invite = delegation({ inviteId, notBefore: joined, key: inviteKey, issuer: admin.signing })
const bobChain = [member({ keys: bob, notBefore: joined + day, issuer: inviteKey }), invite, ...adminChain]

const byRoot: Issuer = { signing: root, chain: [] }
const byFounder: Issuer = { signing: founder.signing, chain: founderChain }
const byAdmin: Issuer = { signing: admin.signing, chain: adminChain }

interface Issuer {
  readonly signing: SigningKeyPair
  readonly chain: readonly Certificate[]
}

const revokeBob: RevocationChanges = { members: [{ member_id: bob.signing.publicKey, at: now - 2000 }] }
const first = issue(byRoot, { changes: revokeBob, now: now - 1000 })

describe('the next list', () => {
  test('begins with the number 1', () => {
    expect(mergeRevocations({ meshId, previous: null, changes: revokeBob, now })).toEqual({
      mesh_id: meshId,
      number: 1,
      revoked_members: [{ member_id: bob.signing.publicKey, at: now - 2000 }],
      revoked_invites: [],
      issued_at: now,
    })
  })

  test('has the next number, everything of the one before, and the changes in order', () => {
    const changes: RevocationChanges = {
      members: [
        { member_id: 'f'.repeat(64), at: now, reason: 'left' },
        { member_id: '0'.repeat(64), at: now },
      ],
      invites: [
        { invite_id: inviteId, at: now },
        { invite_id: meshId, at: now },
      ],
    }
    const next = mergeRevocations({ meshId, previous: first, changes, now })
    expect(next.number).toBe(2)
    expect(next.revoked_members.map(({ member_id }) => member_id)).toEqual([
      '0'.repeat(64),
      bob.signing.publicKey,
      'f'.repeat(64),
    ])
    expect(next.revoked_invites.map(({ invite_id }) => invite_id)).toEqual([meshId, inviteId])
  })

  const entry = { member_id: bob.signing.publicKey, at: 2000 }
  const unions: { name: string; known: RevokedMember; added: RevokedMember; result: RevokedMember }[] = [
    {
      name: 'the earlier time, when it comes later',
      known: entry,
      added: { ...entry, at: 1000 },
      result: { ...entry, at: 1000 },
    },
    { name: 'the earlier time, when it was first', known: entry, added: { ...entry, at: 3000 }, result: entry },
    {
      name: 'the reason of the earlier time',
      known: { ...entry, reason: 'lost' },
      added: { ...entry, at: 1000, reason: 'stolen' },
      result: { ...entry, at: 1000, reason: 'stolen' },
    },
    {
      name: 'the only reason there is',
      known: { ...entry, reason: 'lost' },
      added: { ...entry, at: 1000 },
      result: { ...entry, at: 1000, reason: 'lost' },
    },
  ]
  for (const { name, known, added, result } of unions) {
    test(`takes of two entries for one member ${name}`, () => {
      const previous = issue(byRoot, { changes: { members: [known] } })
      const next = mergeRevocations({ meshId, previous, changes: { members: [added] }, now })
      expect(next.revoked_members).toEqual([result])
    })
  }

  test('is not older than the one before, whatever the clock says', () => {
    expect(mergeRevocations({ meshId, previous: first, changes: {}, now: 0 }).issued_at).toBe(first.issued_at)
  })

  test('revokes from now on at the latest', () => {
    const changes = { members: [{ member_id: bob.signing.publicKey, at: now + day }] }
    expect(mergeRevocations({ meshId, previous: null, changes, now }).revoked_members[0]?.at).toBe(now)
  })

  test('is not made when it would be longer than a list may be', () => {
    const members = Array.from({ length: limits.revocationsMax + 1 }, (_, index) => ({
      member_id: index.toString(16).padStart(64, '0'),
      at: now,
    }))
    const merge = (count: number) =>
      mergeRevocations({ meshId, previous: null, changes: { members: members.slice(0, count) }, now })
    expect(merge(limits.revocationsMax).revoked_members).toHaveLength(limits.revocationsMax)
    expect(() => merge(limits.revocationsMax + 1)).toThrow(expect.objectContaining({ code: 'revocation_list_full' }))
  })

  test('is always believed after the one before, revokes all that either did, and is the same in any order', () => {
    const check = Compile(revocationListSchema)
    fc.assert(
      fc.property(changesOf(), changesOf(), changesOf(), (one, two, three) => {
        const previous = issue(byRoot, { changes: one })
        const list = issue(byFounder, { previous, changes: two })
        expect(check.Check(list)).toBe(true)
        expect(judge(list, byFounder, { previous })).toMatchObject({ ok: true })
        for (const { member_id, at } of [...(one.members ?? []), ...(two.members ?? [])]) {
          expect(list.revoked_members.find((entry) => entry.member_id === member_id)?.at).toBeLessThanOrEqual(at)
        }
        const forth = merged(merged(previous, two), three)
        const back = merged(merged(previous, three), two)
        expect(times(forth)).toEqual(times(back))
        expect(times(merged(forth, two))).toEqual(times(forth))
      }),
    )
  })
})

describe('a list is signed', () => {
  const list = mergeRevocations({ meshId, previous: null, changes: revokeBob, now })
  test('by nobody but an admin', () => {
    for (const chain of [bobChain, bobChain.slice(1)]) {
      const sign = () => signRevocationList({ mesh, list, issuer: { signing: bob.signing, chain } })
      expect(sign).toThrow(MeshError)
      expect(sign).toThrow(expect.objectContaining({ code: 'not_admin' }))
    }
  })

  test('with the key that the chain is about', () => {
    const mistaken: Issuer[] = [
      { signing: bob.signing, chain: [] },
      { signing: bob.signing, chain: adminChain },
      { signing: root, chain: adminChain },
    ]
    for (const issuer of mistaken) {
      expect(() => signRevocationList({ mesh, list, issuer })).toThrow(
        expect.objectContaining({ code: 'ERR_ASSERTION' }),
      )
    }
  })
})

describe('a list that holds', () => {
  const revokeAdmins = {
    members: [founder, admin].map(({ signing }) => ({ member_id: signing.publicKey, at: now - 500 })),
  }
  const afterCoup = issue(byRoot, { previous: first, changes: revokeAdmins, now: now - 500 })
  const rotated = memberKeys('admin, epoch 1')
  const byRotated: Issuer = {
    signing: rotated.signing,
    chain: rotateMember({ chain: adminChain, keys: admin, newKeys: rotated, now: joined + 2 * day }),
  }
  const mortal = member({ role: 'admin', keys: carol, issuer: root, notAfter: now - 500 })
  const byMortal: Issuer = { signing: carol.signing, chain: [mortal] }
  const rows: { name: string; list: RevocationList; by: Issuer; previous?: RevocationList; issuer: string | null }[] = [
    { name: 'the first one, of the root key', list: first, by: byRoot, issuer: null },
    { name: 'the first one, of the founder', list: issue(byFounder), by: byFounder, issuer: founder.signing.publicKey },
    {
      name: 'of an invited admin, after one of the root key',
      list: issue(byAdmin, { previous: first }),
      by: byAdmin,
      previous: first,
      issuer: admin.signing.publicKey,
    },
    {
      name: 'that comes after some that never arrived',
      list: forge(byFounder, { number: 17, revoked_members: first.revoked_members }),
      by: byFounder,
      previous: first,
      issuer: founder.signing.publicKey,
    },
    {
      name: 'of an admin that rotated its keys',
      list: issue(byRotated, { previous: first }),
      by: byRotated,
      previous: first,
      issuer: admin.signing.publicKey,
    },
    {
      name: 'of an admin that revokes itself',
      list: issue(byAdmin, { changes: { members: [{ member_id: admin.signing.publicKey, at: now }] } }),
      by: byAdmin,
      issuer: admin.signing.publicKey,
    },
    {
      name: 'of the root key, when every admin is revoked',
      list: issue(byRoot, { previous: afterCoup }),
      by: byRoot,
      previous: afterCoup,
      issuer: null,
    },
    {
      name: 'of an admin whose certificate ended since',
      list: issue(byMortal, { now: now - 1000 }),
      by: byMortal,
      issuer: carol.signing.publicKey,
    },
    {
      name: 'of a host whose clock runs ahead, within the tolerance',
      list: issue(byFounder, { now: now + clockToleranceMs }),
      by: byFounder,
      issuer: founder.signing.publicKey,
    },
  ]
  for (const { name, list, by, previous, issuer } of rows) {
    test(`is believed: ${name}`, () => {
      const verdict = judge(list, by, { previous: previous ?? null })
      expect(verdict.ok ? (verdict.issuer?.memberId ?? null) : verdict.reason).toBe(issuer)
    })
  }
})

describe('a list that breaks one rule is refused for that rule', () => {
  const revokeAdmin = { members: [{ member_id: admin.signing.publicKey, at: now - 500 }] }
  const withoutAdmin = issue(byFounder, { previous: first, changes: revokeAdmin, now: now - 500 })
  const revokeAdminInvite = { invites: [{ invite_id: adminInviteId, at: joined }] }
  const withoutAdminInvite = issue(byFounder, { previous: first, changes: revokeAdminInvite, now: now - 500 })
  const next = issue(byFounder, { previous: first })
  const bobEntry = { member_id: bob.signing.publicKey, at: now - 2000 }
  const strangerRoot: Issuer = { signing: signingPair('another root'), chain: [] }
  const rows: { name: string; reason: string; list: RevocationList; by: Issuer; previous?: RevocationList }[] = [
    {
      name: 'of another mesh',
      reason: 'mesh_foreign',
      list: forge(byFounder, { mesh_id: otherMeshId }),
      by: byFounder,
    },
    { name: 'the one that is believed already', reason: 'number_not_newer', list: first, by: byRoot, previous: first },
    { name: 'an older one, shown again', reason: 'number_not_newer', list: first, by: byRoot, previous: next },
    {
      name: 'another one of the same number',
      reason: 'number_not_newer',
      list: forge(byFounder, { number: 1, revoked_members: [bobEntry] }),
      by: byFounder,
      previous: first,
    },
    {
      name: 'with a number that leaves none to come',
      reason: 'number_ahead_of_time',
      list: forge(byFounder, { number: limits.timeMax }),
      by: byFounder,
    },
    {
      name: 'from the future',
      reason: 'issued_in_future',
      list: issue(byFounder, { now: now + clockToleranceMs + 1 }),
      by: byFounder,
    },
    {
      name: 'with one member twice',
      reason: 'entries_not_ascending',
      list: forge(byFounder, { revoked_members: [bobEntry, { ...bobEntry, at: now }] }),
      by: byFounder,
    },
    {
      name: 'with its invites in another order',
      reason: 'entries_not_ascending',
      list: forge(byFounder, {
        revoked_invites: [
          { invite_id: inviteId, at: 1 },
          { invite_id: meshId, at: 1 },
        ],
      }),
      by: byFounder,
    },
    {
      name: 'that revokes for later',
      reason: 'entry_in_future',
      list: forge(byFounder, { revoked_members: [{ ...bobEntry, at: now + 1 }] }),
      by: byFounder,
    },
    {
      name: 'that forgets somebody',
      reason: 'entry_withdrawn',
      list: forge(byFounder, { number: 2 }),
      by: byFounder,
      previous: first,
    },
    {
      name: 'of the root key that forgets somebody',
      reason: 'entry_withdrawn',
      list: forge(byRoot, { number: 2 }),
      by: byRoot,
      previous: first,
    },
    {
      name: 'that puts a revocation off',
      reason: 'entry_withdrawn',
      list: forge(byFounder, { number: 2, revoked_members: [{ ...bobEntry, at: bobEntry.at + 1 }] }),
      by: byFounder,
      previous: first,
    },
    {
      name: 'that forgets an invite',
      reason: 'entry_withdrawn',
      list: forge(byFounder, { number: 3, revoked_members: first.revoked_members }),
      by: byFounder,
      previous: withoutAdminInvite,
    },
    {
      name: 'with a reason that is no text',
      reason: 'reason_uncarriable',
      list: { ...next, revoked_members: [{ ...bobEntry, reason: '\ud800' }] },
      by: byFounder,
    },
    {
      name: 'of a root key of somebody else',
      reason: 'issuer_mismatch',
      list: forge(strangerRoot, {}),
      by: strangerRoot,
    },
    {
      name: 'that names the root key, signed by somebody else',
      reason: 'signature_invalid',
      list: { ...forge(byFounder, {}), issuer_key: root.publicKey },
      by: byRoot,
    },
    { name: 'shown with the chain of another admin', reason: 'issuer_mismatch', list: next, by: byAdmin },
    { name: 'shown without a chain', reason: 'issuer_mismatch', list: next, by: byRoot },
    {
      name: 'of an admin that no root certified',
      reason: 'issuer_unproven',
      list: next,
      by: { ...byFounder, chain: [member({ role: 'admin', keys: founder, issuer: signingPair('another root') })] },
    },
    {
      name: 'of a member that made itself an admin',
      reason: 'issuer_unproven',
      list: forge({ signing: bob.signing, chain: bobChain }, {}),
      by: { signing: bob.signing, chain: [{ ...bobChain[0], role: 'admin' } as Certificate, ...bobChain.slice(1)] },
    },
    {
      name: 'of a member that is no admin',
      reason: 'issuer_not_admin',
      list: forge({ signing: bob.signing, chain: bobChain }, {}),
      by: { signing: bob.signing, chain: bobChain },
    },
    {
      name: 'of an invite',
      reason: 'issuer_unproven',
      list: forge({ signing: inviteKey, chain: [] }, {}),
      by: { signing: inviteKey, chain: [invite, ...adminChain] },
    },
    {
      name: 'of an admin that the list before revoked',
      reason: 'issuer_revoked',
      list: issue(byAdmin, { previous: withoutAdmin }),
      by: byAdmin,
      previous: withoutAdmin,
    },
    {
      name: 'of a revoked admin with new keys',
      reason: 'issuer_revoked',
      ...((): { list: RevocationList; by: Issuer } => {
        const keys = memberKeys('admin, new keys')
        const chain = rotateMember({ chain: adminChain, keys: admin, newKeys: keys, now })
        const by = { signing: keys.signing, chain }
        return { list: issue(by, { previous: withoutAdmin }), by }
      })(),
      previous: withoutAdmin,
    },
    {
      name: 'of an admin that came in by an invite that had been revoked',
      reason: 'issuer_revoked',
      list: issue(byAdmin, { previous: withoutAdminInvite }),
      by: byAdmin,
      previous: withoutAdminInvite,
    },
    {
      name: 'with a member put in',
      reason: 'signature_invalid',
      list: { ...forge(byFounder, {}), revoked_members: [bobEntry] },
      by: byFounder,
    },
    {
      name: 'with a member taken out',
      reason: 'signature_invalid',
      list: { ...first, revoked_members: [] },
      by: byRoot,
    },
    {
      name: 'with another number',
      reason: 'signature_invalid',
      list: { ...next, number: 3 },
      by: byFounder,
      previous: first,
    },
    {
      name: 'signed for another purpose',
      reason: 'signature_invalid',
      list: resign(next, founder.signing),
      by: byFounder,
    },
  ]
  for (const { name, reason, list, by, previous } of rows) {
    test(`${name}: ${reason}`, () => {
      expect(judge(list, by, { previous: previous ?? null })).toMatchObject({ ok: false, reason })
    })
  }

  test('and an issuer that is not proven with what its chain lacks', () => {
    expect(judge(next, { ...byFounder, chain: adminChain.slice(0, 1) })).toEqual({
      ok: false,
      reason: 'issuer_unproven',
      chainFault: 'not_rooted',
    })
  })
})

test('no admin can use up the numbers: one millisecond later there is a next one', () => {
  const high = forge(byAdmin, { number: now })
  expect(judge(high, byAdmin)).toMatchObject({ ok: true })
  const next = issue(byFounder, { previous: high, now: now + 1 })
  expect(judge(next, byFounder, { previous: high, now: now + 1 })).toMatchObject({ ok: true })
})

test('a list with any one bit flipped is refused', () => {
  const check = Compile(revocationListSchema)
  const list = issue(byFounder, {
    previous: first,
    changes: {
      members: [{ member_id: carol.signing.publicKey, at: now, reason: 'left' }],
      invites: [{ invite_id: inviteId, at: now }],
    },
  })
  const bytes = Buffer.from(canonicalJson(list), 'utf8')
  const isBelieved = (text: string): boolean => {
    const value = parse(text)
    return check.Check(value) && judge(value, byFounder, { previous: first }).ok
  }
  expect(isBelieved(bytes.toString('utf8'))).toBe(true)
  fc.assert(
    fc.property(fc.nat({ max: bytes.length * 8 - 1 }), (bit) => {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      expect(isBelieved(flipped.toString('utf8'))).toBe(false)
    }),
    { numRuns: 2000 },
  )
})

describe('who is revoked', () => {
  const bobJoined = joined + day
  const adminId = admin.signing.publicKey
  const bobId = bob.signing.publicKey
  const rotatedBob = rotateMember({ chain: bobChain, keys: bob, newKeys: memberKeys('bob, epoch 1'), now: now - day })
  const appointed = [member({ keys: carol, notBefore: bobJoined, issuer: admin.signing }), ...adminChain]
  const members = (member_id: string, at: number): RevocationChanges => ({ members: [{ member_id, at }] })
  const invites = (invite_id: string, at: number): RevocationChanges => ({ invites: [{ invite_id, at }] })

  const rows: { name: string; changes: RevocationChanges; chain: readonly Certificate[]; reason: string | null }[] = [
    { name: 'nobody, by a list of others', changes: members('0'.repeat(64), 1), chain: bobChain, reason: null },
    { name: 'a member on the list', changes: members(bobId, now), chain: bobChain, reason: 'member_revoked' },
    {
      name: 'a member on the list, with new keys',
      changes: members(bobId, now),
      chain: rotatedBob,
      reason: 'member_revoked',
    },
    {
      name: 'whoever came in by an invite when it had been revoked',
      changes: invites(inviteId, bobJoined),
      chain: bobChain,
      reason: 'invite_revoked',
    },
    {
      name: 'not who came in by it before',
      changes: invites(inviteId, bobJoined + 1),
      chain: bobChain,
      reason: null,
    },
    {
      name: 'not who came in before and took new keys after',
      changes: invites(inviteId, bobJoined + 1),
      chain: rotatedBob,
      reason: null,
    },
    {
      name: 'whoever came in by an invite of an admin that had been revoked',
      changes: members(adminId, bobJoined),
      chain: bobChain,
      reason: 'issuer_revoked',
    },
    {
      name: 'not who came in before the admin was revoked',
      changes: members(adminId, bobJoined + 1),
      chain: bobChain,
      reason: null,
    },
    {
      name: 'whoever was certified by an admin that had been revoked',
      changes: members(adminId, bobJoined),
      chain: appointed,
      reason: 'issuer_revoked',
    },
    {
      name: 'whoever an admin let in that came in by an invite when it had been revoked',
      changes: invites(adminInviteId, joined),
      chain: bobChain,
      reason: 'invite_revoked',
    },
    {
      name: 'not whom an admin let in that came in before its own inviter was revoked',
      changes: members(founder.signing.publicKey, joined + 1),
      chain: bobChain,
      reason: null,
    },
  ]
  for (const { name, changes, chain, reason } of rows) {
    test(`is ${name}`, () => {
      const list = issue(byRoot, { changes })
      expect(judge(list, byRoot)).toMatchObject({ ok: true })
      expect(findRevocation({ list, chain })?.reason ?? null).toBe(reason)
    })
  }

  test('is told with the entry that says so', () => {
    const list = issue(byRoot, { changes: invites(inviteId, joined) })
    expect(findRevocation({ list, chain: bobChain })).toEqual({ reason: 'invite_revoked', id: inviteId, at: joined })
  })

  describe('is decided by a host that lets members in by what it saw itself', () => {
    const list = issue(byRoot, { changes: invites(inviteId, now - day) })
    const seen: { name: string; firstSeenAt: number | null; reason: string | null }[] = [
      {
        name: 'a member that it never saw is refused, whatever its dates',
        firstSeenAt: null,
        reason: 'invite_revoked',
      },
      { name: 'one that it let in after the revocation as well', firstSeenAt: now - day, reason: 'invite_revoked' },
      { name: 'one that it let in before stays', firstSeenAt: now - day - 1, reason: null },
    ]
    for (const { name, firstSeenAt, reason } of seen) {
      test(name, () => {
        const found = findRevocation({
          list,
          chain: bobChain,
          firstSeenAt: (id) => (id === bobId ? firstSeenAt : joined),
        })
        expect(found?.reason ?? null).toBe(reason)
      })
    }

    test('a member whose own date is later than the revocation is refused even if it was let in before', () => {
      const late = issue(byRoot, { changes: invites(inviteId, joined) })
      expect(findRevocation({ list: late, chain: bobChain, firstSeenAt: () => founded })).not.toBeNull()
    })

    test('a member that it knows does not answer for an inviter that it never saw', () => {
      const found = findRevocation({
        list: issue(byRoot, { changes: invites(adminInviteId, now) }),
        chain: bobChain,
        firstSeenAt: (id) => (id === bobId ? bobJoined : null),
      })
      expect(found).toEqual({ reason: 'invite_revoked', id: adminInviteId, at: now })
    })
  })

  test('is found in the longest list as in the shortest', () => {
    const ids = Array.from({ length: limits.revocationsMax }, (_, index) =>
      createHash('sha256').update(`revoked ${index}`).digest('hex'),
    )
    const list = issue(byRoot, { changes: { members: ids.map((member_id) => ({ member_id, at: now })) } })
    const certificate = bobChain[0] as MemberCertificate
    for (const id of ids) {
      expect(findRevocation({ list, chain: [{ ...certificate, member_id: id }] })).toMatchObject({ id })
    }
    expect(findRevocation({ list, chain: bobChain })).toBeNull()
  })
})

/** The next list after `previous`, as the issuer would make it. */
function issue(
  issuer: Issuer,
  input: { previous?: RevocationList; changes?: RevocationChanges; now?: number } = {},
): RevocationList {
  const { previous = null, changes = {} } = input
  return signRevocationList({
    mesh,
    list: mergeRevocations({ meshId, previous, changes, now: input.now ?? now }),
    issuer,
  })
}

/** A list with a valid signature and any content: what somebody can make who has the key, and keeps to no rule. */
function forge(issuer: Issuer, content: Partial<RevocationList>): RevocationList {
  const claims = {
    mesh_id: meshId,
    number: 1,
    revoked_members: [],
    revoked_invites: [],
    issued_at: now,
    ...content,
    issuer_key: issuer.signing.publicKey,
  }
  return { ...claims, signature: signDocument('claudemesh-revocation-v1', claims, issuer.signing) }
}

function resign(list: RevocationList, keys: SigningKeyPair): RevocationList {
  const { signature: _, ...claims } = list
  return { ...claims, signature: signDocument('claudemesh-certificate-v1', claims, keys) }
}

function judge(list: RevocationList, by: Issuer, changes: { previous?: RevocationList | null; now?: number } = {}) {
  return verifyRevocationList({ mesh, list, issuerChain: by.chain, previous: null, now, ...changes })
}

function merged(previous: RevocationList, changes: RevocationChanges): RevocationList {
  return issue(byRoot, { previous, changes })
}

/** What is revoked since when. Which of two reasons of one moment is told may depend on the order. */
function times(list: RevocationList) {
  return {
    members: list.revoked_members.map(({ member_id, at }) => [member_id, at]),
    invites: list.revoked_invites.map(({ invite_id, at }) => [invite_id, at]),
  }
}

/** Changes that often speak of the same few members and invites. */
function changesOf(): fc.Arbitrary<RevocationChanges> {
  const at = fc.integer({ min: founded, max: now })
  const member_id = fc.integer({ min: 0, max: 7 }).map((digit) => `${digit}`.repeat(64))
  const invite_id = fc.integer({ min: 0, max: 7 }).map((digit) => `${digit}`.repeat(26))
  const reason = fc.option(fc.constantFrom('left', 'lost', 'stolen'), { nil: undefined })
  const entry = fc
    .record({ member_id, at, reason })
    .map(({ reason: text, ...rest }) => (text === undefined ? rest : { ...rest, reason: text }))
  return fc.record({ members: fc.array(entry, { maxLength: 6 }), invites: fc.array(fc.record({ invite_id, at })) })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A damaged document is refused before anybody looks for a list in it.
    return null
  }
}

function signingPair(label: string): SigningKeyPair {
  return importSigningKeyPair(createHash('sha256').update(`${label}: signing`).digest())
}

function memberKeys(label: string): MemberKeys {
  const box = importBoxKeyPair(createHash('sha256').update(`${label}: box`).digest())
  return { signing: signingPair(label), box }
}

function member(
  changes: Partial<Parameters<typeof signMemberCertificate>[0]> & { keys: MemberKeys; issuer: SigningKeyPair },
): MemberCertificate {
  return signMemberCertificate({
    meshId,
    memberId: changes.keys.signing.publicKey,
    name: 'bob',
    role: 'member',
    epoch: 0,
    notBefore: joined,
    notAfter: null,
    ...changes,
  })
}

function delegation(
  changes: Partial<Parameters<typeof signInviteCertificate>[0]> & { key: SigningKeyPair; issuer: SigningKeyPair },
): InviteCertificate {
  const { key, ...rest } = changes
  return signInviteCertificate({
    meshId,
    inviteId,
    inviteKey: key.publicKey,
    role: 'member',
    uses: 3,
    notBefore: founded,
    notAfter: inviteEnd,
    ...rest,
  })
}
