import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import { certificateSchema, meshRecordSchema, revocationListSchema } from './certificate.ts'
import * as limits from './limits.ts'

const ulid = '01JD8Z6K3V0000000000000000'
const key = 'ab'.repeat(32)
const signature = 'A'.repeat(86)
const mesh = { mesh_id: ulid, slug: 'team', root_key: key, created_at: 1_700_000_000_000, signature }
const member = {
  kind: 'member',
  mesh_id: ulid,
  member_id: key,
  name: 'ada',
  role: 'admin',
  signing_key: key,
  box_key: key,
  not_before: 1_700_000_000_000,
  epoch: 0,
  issuer_key: key,
  possession: signature,
  signature,
}
const invite = {
  kind: 'invite',
  mesh_id: ulid,
  invite_id: ulid,
  invite_key: key,
  role: 'member',
  uses: 5,
  not_before: 1,
  not_after: 2,
  issuer_key: key,
  signature,
}
const revocations = {
  mesh_id: ulid,
  number: 2,
  revoked_members: [{ member_id: key, at: 1_700_000_000_000 }],
  revoked_invites: [{ invite_id: ulid, at: 1_700_000_000_000 }],
  issued_at: 1_700_000_000_000,
  issuer_key: key,
  signature,
}

const documents = [
  { name: 'a mesh record', validator: Compile(meshRecordSchema), sample: mesh },
  { name: 'a member certificate', validator: Compile(certificateSchema), sample: member },
  { name: 'an invite certificate', validator: Compile(certificateSchema), sample: invite },
  { name: 'a revocation list', validator: Compile(revocationListSchema), sample: revocations },
]

describe.each(documents)('$name', ({ validator, sample }) => {
  test('is accepted as it is', () => {
    expect(validator.Check(sample)).toBe(true)
  })

  test('lacks nothing and has nothing beyond', () => {
    for (const missing of Object.keys(sample)) {
      const rest = Object.fromEntries(Object.entries(sample).filter(([name]) => name !== missing))
      expect(validator.Check(rest), `without ${missing}`).toBe(false)
    }
    expect(validator.Check({ ...sample, extra: 1 })).toBe(false)
  })
})

describe('a certificate is refused', () => {
  const rows: { name: string; certificate: unknown }[] = [
    { name: 'of another kind', certificate: { ...member, kind: 'root' } },
    { name: 'with a key in capitals', certificate: { ...member, signing_key: key.toUpperCase() } },
    { name: 'with a signature too short', certificate: { ...member, signature: 'A'.repeat(85) } },
    { name: 'with padding', certificate: { ...member, signature: `${'A'.repeat(85)}=` } },
    { name: 'with a role of its own', certificate: { ...member, role: 'owner' } },
    { name: 'with a name that no address can say', certificate: { ...member, name: 'Ada' } },
    { name: 'with a time that no calendar has', certificate: { ...member, not_before: 8_640_000_000_000_001 } },
    { name: 'with half an epoch', certificate: { ...member, epoch: 0.5 } },
    { name: 'with no use at all', certificate: { ...invite, uses: 0 } },
    { name: 'of an invite without an end', certificate: { ...invite, not_after: undefined } },
  ]
  const validator = Compile(certificateSchema)
  test.each(rows)('$name', ({ certificate }) => {
    expect(validator.Check(certificate)).toBe(false)
  })

  test('but a member certificate may have an end', () => {
    expect(validator.Check({ ...member, not_after: 1_800_000_000_000 })).toBe(true)
  })
})

describe('a revocation list', () => {
  const check = Compile(revocationListSchema)
  const revoked = (entry: object) => ({ ...revocations, revoked_members: [{ member_id: key, at: 0, ...entry }] })

  test('may revoke nothing, and may give a reason', () => {
    expect(check.Check({ ...revocations, revoked_members: [], revoked_invites: [] })).toBe(true)
    expect(check.Check(revoked({ reason: 'Notebook verloren, päärynä 🍐' }))).toBe(true)
  })

  const rows: { name: string; list: unknown }[] = [
    { name: 'with the number 0', list: { ...revocations, number: 0 } },
    { name: 'with half a number', list: { ...revocations, number: 1.5 } },
    { name: 'with a number that no time can reach', list: { ...revocations, number: limits.timeMax + 1 } },
    { name: 'with an entry without a time', list: { ...revocations, revoked_invites: [{ invite_id: ulid }] } },
    { name: 'with an entry with more than it has', list: revoked({ by: key }) },
    { name: 'with an empty reason', list: revoked({ reason: '' }) },
    { name: 'with a reason of two lines', list: revoked({ reason: 'a\nb' }) },
    { name: 'with a reason that is too long', list: revoked({ reason: 'a'.repeat(65) }) },
    {
      name: 'with a reason of one character that is built of many',
      list: revoked({ reason: `a${'\u0301'.repeat(64)}` }),
    },
    {
      name: 'with an invite too many',
      list: { ...revocations, revoked_invites: entries(limits.revocationsMax + 1, { invite_id: ulid }) },
    },
    {
      name: 'with a member too many',
      list: { ...revocations, revoked_members: entries(limits.revocationsMax + 1, { member_id: key }) },
    },
  ]
  test.each(rows)('is refused $name', ({ list }) => {
    expect(check.Check(list)).toBe(false)
  })

  test('fits into one frame with a chain, however full it is', () => {
    const full = {
      ...revocations,
      revoked_members: entries(limits.revocationsMax, {
        member_id: key,
        reason: '🍐'.repeat(limits.revocationReasonCharactersMax),
      }),
      revoked_invites: entries(limits.revocationsMax, { invite_id: ulid }),
    }
    expect(check.Check(full)).toBe(true)
    const times = { not_before: limits.timeMax, not_after: limits.timeMax }
    const longest = { ...member, name: 'n'.repeat(64), epoch: limits.chainRotationsMax, ...times }
    expect(Compile(certificateSchema).Check(longest)).toBe(true)
    const frame = JSON.stringify({ list: full, chain: Array.from({ length: limits.chainLengthMax }, () => longest) })
    expect(Buffer.byteLength(frame)).toBeLessThan(limits.frameBytesMax)
  })
})

function entries(count: number, entry: object): object[] {
  return Array.from({ length: count }, () => ({ ...entry, at: limits.timeMax }))
}
