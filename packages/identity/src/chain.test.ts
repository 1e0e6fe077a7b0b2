import { createHash } from 'node:crypto'
import {
  type Certificate,
  canonicalJson,
  certificateSchema,
  type InviteCertificate,
  type JsonObject,
  limits,
  type MemberCertificate,
} from '@claudemesh/protocol'
import fc from 'fast-check'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import { signInviteCertificate, signMemberCertificate } from './certificate.ts'
import { clockToleranceMs, verifyChain } from './chain.ts'
import { importBoxKeyPair, importSigningKeyPair, type MemberKeys, type SigningKeyPair } from './keys.ts'

const day = 86_400_000
const meshId = '01JD8Z6K3V0000000000000000'
const otherMeshId = '01JD8Z6K3V0000000000000001'
const inviteId = '01JD8Z6K3V0000000000000002'
const adminInviteId = '01JD8Z6K3V0000000000000003'
const founded = 1_700_000_000_000
const joined = founded + day
const inviteEnd = founded + 7 * day
const now = founded + 30 * day

const root = signingPair('root')
const founder = memberKeys('founder')
const joiner = memberKeys('joiner')
const joinerNew = memberKeys('joiner, epoch 1')
const stranger = memberKeys('stranger')
const inviteKeys = signingPair('invite')

const mesh = { mesh_id: meshId, root_key: root.publicKey }

const founderCertificate = member({ name: 'ada', role: 'admin', keys: founder, notBefore: founded, issuer: root })
const invite = delegation({ issuer: founder.signing })
const joinerCertificate = member({ keys: joiner, issuer: inviteKeys })
const rotated = rotation({ keys: joinerNew, issuer: joiner.signing })

const joinerChain = [joinerCertificate, invite, founderCertificate]
const rotatedChain = [rotated, ...joinerChain]

describe('a chain that holds', () => {
  const adminInvite = delegation({ inviteId: adminInviteId, role: 'admin', uses: 1, issuer: root })
  const secondAdmin = member({ role: 'admin', keys: stranger, issuer: inviteKeys })
  const rows: { name: string; chain: Certificate[]; epoch?: number; role?: string; invites?: string[] }[] = [
    { name: 'the founder, certified by the root', chain: [founderCertificate], role: 'admin', invites: [] },
    { name: 'a member that joined by an invite', chain: joinerChain, invites: [inviteId] },
    { name: 'a member that rotated its keys', chain: rotatedChain, epoch: 1, invites: [inviteId] },
    {
      name: 'a member that an admin certified directly',
      chain: [member({ keys: joiner, issuer: founder.signing }), founderCertificate],
      invites: [],
    },
    {
      name: 'an admin by an invite of the root key',
      chain: [secondAdmin, adminInvite],
      role: 'admin',
      invites: [adminInviteId],
    },
    {
      name: 'a member invited by an admin that was invited itself',
      chain: [joinerCertificate, delegation({ issuer: stranger.signing, notBefore: joined }), secondAdmin, adminInvite],
      invites: [inviteId, adminInviteId],
    },
    {
      name: 'an invite for an admin, taken as a member',
      chain: [joinerCertificate, delegation({ role: 'admin', issuer: founder.signing }), founderCertificate],
      invites: [inviteId],
    },
  ]
  for (const row of rows) {
    test(`is believed: ${row.name}`, () => {
      const verdict = verifyChain({ mesh, chain: row.chain, now })
      const [current] = row.chain as [MemberCertificate]
      expect(verdict).toMatchObject({
        ok: true,
        member: {
          memberId: current.member_id,
          signingKey: current.signing_key,
          boxKey: current.box_key,
          name: current.name,
          role: row.role ?? 'member',
          epoch: row.epoch ?? 0,
        },
      })
      expect(verdict.ok && verdict.member.invites.map((admission) => admission.inviteId)).toEqual(row.invites)
    })
  }

  test('names each admission with its bounds and the member it admitted, the nearest first', () => {
    const chain = [
      joinerCertificate,
      delegation({ issuer: stranger.signing, notBefore: joined, uses: 5 }),
      secondAdmin,
      adminInvite,
    ]
    const verdict = verifyChain({ mesh, chain, now })
    expect(verdict.ok && verdict.member.invites).toEqual([
      { inviteId, uses: 5, notAfter: inviteEnd, memberId: joiner.signing.publicKey },
      { inviteId: adminInviteId, uses: 1, notAfter: inviteEnd, memberId: stranger.signing.publicKey },
    ])
  })

  test('holds for ever when its invite expires after the joining', () => {
    expect(verifyChain({ mesh, chain: joinerChain, now: inviteEnd + 10_000 * day })).toMatchObject({ ok: true })
  })

  test('is believed from a host whose clock runs ahead, within the tolerance', () => {
    const chain = joinerChain
    expect(verifyChain({ mesh, chain, now: joined - clockToleranceMs })).toMatchObject({ ok: true })
    expect(verifyChain({ mesh, chain, now: joined - clockToleranceMs - 1 })).toEqual({
      ok: false,
      reason: 'not_yet_valid',
    })
  })
})

describe('a chain that breaks one rule is refused for that rule', () => {
  const mortal = member({ keys: joiner, issuer: inviteKeys, notAfter: now })
  const rows: { name: string; reason: string; chain: Certificate[]; mesh?: typeof mesh; now?: number }[] = [
    { name: 'no certificate at all', reason: 'chain_empty', chain: [] },
    { name: 'nine steps', reason: 'chain_too_long', chain: [...joinerChain, ...joinerChain, ...joinerChain] },
    {
      name: 'a rotation more than there may be',
      reason: 'rotations_too_many',
      chain: rotations(limits.chainRotationsMax + 1),
    },
    { name: 'an invite where a member should be', reason: 'not_a_member_certificate', chain: joinerChain.slice(1) },
    { name: 'used before its time', reason: 'not_yet_valid', chain: joinerChain, now: founded },
    { name: 'not_after passed', reason: 'expired', chain: [mortal, invite, founderCertificate] },
    {
      name: 'the right chain of another mesh',
      reason: 'mesh_foreign',
      chain: joinerChain,
      mesh: { ...mesh, mesh_id: otherMeshId },
    },
    {
      name: 'one certificate of another mesh',
      reason: 'mesh_foreign',
      chain: [joinerCertificate, delegation({ meshId: otherMeshId, issuer: founder.signing }), founderCertificate],
    },
    {
      name: 'another root key',
      reason: 'not_rooted',
      chain: joinerChain,
      mesh: { ...mesh, root_key: signingPair('other root').publicKey },
    },
    { name: 'cut off after the member', reason: 'not_rooted', chain: joinerChain.slice(0, 1) },
    { name: 'cut off after the invite', reason: 'not_rooted', chain: joinerChain.slice(0, 2) },
    {
      name: 'two certificates in the wrong order',
      reason: 'issuer_mismatch',
      chain: [joinerCertificate, founderCertificate, invite],
    },
    { name: 'a certificate left out', reason: 'issuer_mismatch', chain: [joinerCertificate, founderCertificate] },
    { name: 'a certificate twice', reason: 'issuer_mismatch', chain: [joinerCertificate, ...joinerChain] },
    {
      name: 'an invite made with an invite',
      reason: 'issuer_not_allowed',
      chain: [
        member({ keys: joiner, issuer: stranger.signing }),
        delegation({ inviteKey: stranger.signing, issuer: inviteKeys }),
        invite,
        founderCertificate,
      ],
    },
    {
      name: 'an invite of a member that is no admin',
      reason: 'issuer_not_admin',
      chain: [
        member({ keys: stranger, notBefore: joined, issuer: signingPair('second invite') }),
        delegation({ inviteKey: signingPair('second invite'), notBefore: joined, issuer: joiner.signing }),
        ...joinerChain,
      ],
    },
    {
      name: 'a member certified by a member that is no admin',
      reason: 'issuer_not_admin',
      chain: [member({ keys: stranger, notBefore: joined, issuer: joiner.signing }), ...joinerChain],
    },
    {
      name: 'joined before the invite began',
      reason: 'issued_before_issuer',
      chain: [member({ keys: joiner, notBefore: founded - 1, issuer: inviteKeys }), invite, founderCertificate],
    },
    {
      name: 'joined after the invite expired',
      reason: 'issued_after_expiry',
      chain: [member({ keys: joiner, notBefore: inviteEnd, issuer: inviteKeys }), invite, founderCertificate],
    },
    {
      name: 'invited by an admin whose certificate had expired',
      reason: 'issued_after_expiry',
      chain: [
        member({ keys: joiner, notBefore: joined, issuer: inviteKeys }),
        delegation({ notBefore: joined, issuer: founder.signing }),
        member({ role: 'admin', keys: founder, notBefore: founded, notAfter: joined, issuer: root }),
      ],
    },
    {
      name: 'an admin by an invite for members',
      reason: 'role_escalated',
      chain: [member({ role: 'admin', keys: joiner, issuer: inviteKeys }), invite, founderCertificate],
    },
    {
      name: 'a joiner that begins at epoch 1',
      reason: 'founding_epoch_not_zero',
      chain: [member({ epoch: 1, keys: joiner, issuer: inviteKeys }), invite, founderCertificate],
    },
    {
      name: "a joiner whose id is not its founding key but nobody's",
      reason: 'member_id_mismatch',
      chain: [member({ memberId: '00'.repeat(32), keys: joiner, issuer: inviteKeys }), invite, founderCertificate],
    },
    {
      name: "an invite holder with keys of its own under somebody else's id",
      reason: 'member_id_mismatch',
      chain: [
        member({ memberId: founder.signing.publicKey, keys: stranger, issuer: inviteKeys }),
        invite,
        founderCertificate,
      ],
    },
    {
      name: "an admin that puts its own keys under somebody else's id",
      reason: 'member_id_mismatch',
      chain: [
        member({ memberId: joiner.signing.publicKey, keys: stranger, issuer: founder.signing }),
        founderCertificate,
      ],
    },
    {
      name: "the root that puts other keys under somebody's id",
      reason: 'member_id_mismatch',
      chain: [member({ memberId: joiner.signing.publicKey, keys: stranger, issuer: root })],
    },
    {
      name: "an invite holder with its own box key under somebody else's id and signing key",
      reason: 'signature_invalid',
      chain: [withoutPossession(founder.signing.publicKey), invite, founderCertificate],
    },
    {
      name: 'a rotation by a key that is not the old one',
      reason: 'issuer_mismatch',
      chain: [rotation({ keys: joinerNew, issuer: stranger.signing }), ...joinerChain],
    },
    {
      name: 'a rotation by an invite',
      reason: 'founding_epoch_not_zero',
      chain: [rotation({ keys: joinerNew, issuer: inviteKeys }), invite, founderCertificate],
    },
    {
      name: 'a rotation by an admin',
      reason: 'founding_epoch_not_zero',
      chain: [rotation({ keys: joinerNew, issuer: founder.signing }), founderCertificate],
    },
    {
      name: 'a rotation that skips an epoch',
      reason: 'rotation_epoch_skipped',
      chain: [rotation({ epoch: 2, keys: joinerNew, issuer: joiner.signing }), ...joinerChain],
    },
    {
      name: 'a rotation that stays in its epoch',
      reason: 'rotation_epoch_skipped',
      chain: [rotation({ epoch: 0, keys: joinerNew, issuer: joiner.signing }), ...joinerChain],
    },
    {
      name: 'a rotation that takes a role',
      reason: 'rotation_changes_role',
      chain: [rotation({ role: 'admin', keys: joinerNew, issuer: joiner.signing }), ...joinerChain],
    },
    {
      name: 'a rotation that takes another name',
      reason: 'rotation_changes_name',
      chain: [rotation({ name: 'ada', keys: joinerNew, issuer: joiner.signing }), ...joinerChain],
    },
    {
      name: 'a rotation that outlives what was granted',
      reason: 'rotation_outlives',
      chain: [rotated, mortal, invite, founderCertificate],
      now: joined + day,
    },
    {
      name: 'a rotation after the old certificate had expired',
      reason: 'issued_after_expiry',
      chain: [
        rotation({ keys: joinerNew, notBefore: now, notAfter: now, issuer: joiner.signing }),
        mortal,
        invite,
        founderCertificate,
      ],
      now: now - 1,
    },
    {
      name: 'a signature of another certificate',
      reason: 'signature_invalid',
      chain: [joinerCertificate, { ...invite, uses: invite.uses + 1 }, founderCertificate],
    },
    {
      name: 'a possession proof of another certificate',
      reason: 'signature_invalid',
      chain: [{ ...joinerCertificate, possession: rotated.possession }, invite, founderCertificate],
    },
  ]
  for (const row of rows) {
    test(`${row.name}: ${row.reason}`, () => {
      const verdict = verifyChain({ mesh: row.mesh ?? mesh, chain: row.chain, now: row.now ?? now })
      expect(verdict).toEqual({ ok: false, reason: row.reason })
    })
  }
})

describe('a chain with as many rotations as there may be', () => {
  const count = limits.chainRotationsMax
  const chain = rotations(count)
  const timed = () => {
    const start = process.cpuUsage()
    const verdict = verifyChain({ mesh, chain, now })
    const { user, system } = process.cpuUsage(start)
    return { verdict, microseconds: user + system }
  }
  const first = timed()

  test('is believed', () => {
    expect(first.verdict).toMatchObject({ ok: true, member: { epoch: count, memberId: joiner.signing.publicKey } })
  })

  test('costs its signatures once, however often it is shown', () => {
    const again = Math.min(...Array.from({ length: 5 }, () => timed().microseconds))
    expect(again).toBeLessThan(first.microseconds / 2)
  })

  test('is not believed by what was verified of it when anything in it is changed', () => {
    const [current, old, ...rest] = chain as [MemberCertificate, MemberCertificate, ...Certificate[]]
    const changes: Partial<MemberCertificate>[] = [
      { box_key: stranger.box.publicKey },
      { possession: current.possession },
      { signature: current.signature },
    ]
    for (const change of changes) {
      expect(verifyChain({ mesh, chain: [current, { ...old, ...change }, ...rest], now })).toEqual({
        ok: false,
        reason: 'signature_invalid',
      })
    }
  })
})

test('a chain with any one bit flipped is refused', () => {
  const check = Compile(Type.Array(certificateSchema))
  const bytes = Buffer.from(canonicalJson(rotatedChain as unknown as readonly JsonObject[]), 'utf8')
  const isBelieved = (text: string): boolean => {
    const chain = parse(text)
    return check.Check(chain) && verifyChain({ mesh, chain, now }).ok
  }
  expect(isBelieved(bytes.toString('utf8'))).toBe(true)
  fc.assert(
    fc.property(fc.nat({ max: bytes.length * 8 - 1 }), (bit) => {
      expect(isBelieved(flipBit(bytes, bit).toString('utf8'))).toBe(false)
    }),
    { numRuns: 2000 },
  )
})

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A damaged document is refused before anybody looks for a chain in it.
    return null
  }
}

function flipBit(bytes: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return flipped
}

function seedOf(label: string): Buffer {
  return createHash('sha256').update(label).digest()
}

function signingPair(label: string): SigningKeyPair {
  return importSigningKeyPair(seedOf(`${label}: signing`))
}

function memberKeys(label: string): MemberKeys {
  return { signing: signingPair(label), box: importBoxKeyPair(seedOf(`${label}: box`)) }
}

/** A founding certificate of a member called bob, except where told otherwise. */
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

/** The joiner's certificate of epoch 1, except where told otherwise. */
function rotation(changes: Parameters<typeof member>[0]): MemberCertificate {
  return member({ memberId: joiner.signing.publicKey, epoch: 1, notBefore: joined + day, ...changes })
}

function delegation(
  changes: Partial<Omit<Parameters<typeof signInviteCertificate>[0], 'inviteKey'>> & {
    issuer: SigningKeyPair
    inviteKey?: SigningKeyPair
  },
): InviteCertificate {
  const { inviteKey, ...rest } = changes
  return signInviteCertificate({
    meshId,
    inviteId,
    inviteKey: (inviteKey ?? inviteKeys).publicKey,
    role: 'member',
    uses: 3,
    notBefore: founded,
    notAfter: inviteEnd,
    ...rest,
  })
}

/** The joiner's chain after so many rotations. */
function rotations(count: number): Certificate[] {
  let keys = joiner
  let chain: Certificate[] = joinerChain
  for (let epoch = 1; epoch <= count; epoch += 1) {
    const next = memberKeys(`joiner, epoch ${epoch}`)
    chain = [rotation({ epoch, keys: next, issuer: keys.signing }), ...chain]
    keys = next
  }
  return chain
}

/** What an invite holder can make at most under a key that it does not have: everything but the proof of possession. */
function withoutPossession(victimKey: string): MemberCertificate {
  const victim: MemberKeys = {
    signing: { publicKey: victimKey, secretKey: stranger.signing.secretKey },
    box: stranger.box,
  }
  return member({ keys: victim, issuer: inviteKeys })
}
