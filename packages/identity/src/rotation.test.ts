import { type Certificate, limits, type MemberCertificate, MeshError } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { signMemberCertificate } from './certificate.ts'
import { verifyChain } from './chain.ts'
import { foundMesh } from './founding.ts'
import { acceptInvite, createInvite, decodeInviteToken } from './invite.ts'
import { generateMemberKeys, generateSigningKeyPair, type MemberKeys } from './keys.ts'
import { rotateMember } from './rotation.ts'

const day = 86_400_000
const founded = 1_700_000_000_000
const now = founded + 30 * day
const root = generateSigningKeyPair()
const founder = generateMemberKeys()
const joiner = generateMemberKeys()
const meshId = '01JD8Z6K3V0000000000000000'
const { mesh, chain: founderChain } = foundMesh({
  slug: 'home',
  name: 'ada',
  meshId,
  now: founded,
  keys: founder,
  root,
})
const joinerChain = join(joiner)

interface Epoch {
  readonly chain: readonly Certificate[]
  readonly keys: MemberKeys
}

describe('a rotation', () => {
  const newKeys = generateMemberKeys()
  const chain = rotateMember({ chain: joinerChain, keys: joiner, newKeys, now })

  test('is believed by everybody who believed the member before', () => {
    expect(verifyChain({ mesh, chain, now })).toEqual({
      ok: true,
      member: {
        ...memberOf(joinerChain),
        signingKey: newKeys.signing.publicKey,
        boxKey: newKeys.box.publicKey,
        epoch: 1,
      },
    })
  })

  test('puts one certificate before the chain, signed by the old key, and changes nothing else', () => {
    const [certificate, ...rest] = chain
    expect(certificate).toMatchObject({ not_before: now, issuer_key: joiner.signing.publicKey })
    expect(certificate).not.toHaveProperty('not_after')
    expect(rest).toEqual(joinerChain)
  })

  test('ends when the certificate before would have ended', () => {
    const keys = generateMemberKeys()
    const mortal = certify(keys, now + day)
    const rotated = rotateMember({ chain: [mortal], keys, newKeys: generateMemberKeys(), now })
    expect(rotated[0]).toMatchObject({ not_after: now + day })
  })

  test('is believed when the clock was set back since the epoch before', () => {
    const later = rotateMember({ chain, keys: newKeys, newKeys: generateMemberKeys(), now: founded + 31 * day })
    const clock = founded + 31 * day - 60_000
    expect(later[0]).toMatchObject({ not_before: founded + 31 * day })
    expect(verifyChain({ mesh, chain: later, now: clock })).toMatchObject({ ok: true, member: { epoch: 2 } })
  })
})

describe('rotating again and again', () => {
  const rows: { name: string; start: Epoch }[] = [
    { name: 'a founder, one certificate below the root', start: { chain: founderChain, keys: founder } },
    { name: 'a joiner, three below', start: { chain: joinerChain, keys: joiner } },
  ]
  for (const { name, start } of rows) {
    test(`${name}, works a month each for ten years and more, and each chain is believed`, () => {
      const last = rotateTimes(start, limits.chainRotationsMax)
      expect(limits.chainRotationsMax).toBeGreaterThan(120)
      expect(last.chain).toHaveLength(start.chain.length + limits.chainRotationsMax)
      const error = errorOf(() => rotateMember({ ...last, newKeys: generateMemberKeys(), now: now + day }))
      expect(error.code).toBe('rotation_impossible')
      expect(error.data).toEqual({ reason: 'rotations_too_many' })
      expect(error.hint).toContain('remint')
    })
  }

  test('leaves whoever joins by an invite ten years of it, or the invite is refused', () => {
    const last = rotateTimes({ chain: founderChain, keys: founder }, limits.inviterRotationsMax)
    const invited = generateMemberKeys()
    const chain = join(invited, last, now - day)
    rotateTimes({ chain, keys: invited }, 120)
    const onceMore = rotateTimes(last, 1, limits.inviterRotationsMax)
    expect(errorOf(() => join(generateMemberKeys(), onceMore, now - day))).toMatchObject({
      code: 'not_admin',
      message: expect.stringContaining(`${limits.inviterRotationsMax + 1} rotations`),
      hint: expect.stringContaining('remint'),
    })
  })

  test('is believed of any number of rotations, and of no chain in which one link is changed or missing', () => {
    const { chain } = rotateTimes({ chain: joinerChain, keys: joiner }, 40)
    const [foreign] = join(generateMemberKeys())
    fc.assert(
      fc.property(fc.nat(chain.length - 1), fc.constantFrom('missing', 'twice', 'foreign', 'changed'), (at, how) => {
        const link = chain[at]
        if (link === undefined) return
        const instead: Readonly<Record<typeof how, readonly Certificate[]>> = {
          missing: [],
          twice: [link, link],
          foreign: foreign === undefined ? [] : [foreign],
          changed: [{ ...link, signature: `${link.signature.slice(0, 40)}x${link.signature.slice(41)}` }],
        }
        if (how === 'changed' && link.signature[40] === 'x') return
        const forged = [...chain.slice(0, at), ...instead[how], ...chain.slice(at + 1)]
        const verdict = verifyChain({ mesh, chain: forged, now: now + day })
        // Without its newest links a chain is that of an earlier epoch, which was true once.
        if (how === 'missing' && at === 0) expect(verdict).toMatchObject({ ok: true, member: { epoch: 39 } })
        else expect(verdict.ok).toBe(false)
      }),
    )
    for (let cut = 0; cut < 40; cut += 1) {
      expect(verifyChain({ mesh, chain: chain.slice(cut), now: now + day })).toMatchObject({
        ok: true,
        member: { epoch: 40 - cut },
      })
    }
  })
})

describe('a rotation is refused', () => {
  const stranger = generateMemberKeys()
  const newKeys = generateMemberKeys()
  test('to a member whose certificate has expired', () => {
    const error = errorOf(() => rotateMember({ chain: [certify(stranger, now)], keys: stranger, newKeys, now }))
    expect(error.code).toBe('rotation_impossible')
    expect(error.data).toEqual({ reason: 'expired' })
  })

  test('to a chain that nobody believes', () => {
    const [current, ...rest] = joinerChain as [MemberCertificate, ...Certificate[]]
    const forged = [{ ...current, role: 'admin' as const }, ...rest]
    expect(errorOf(() => rotateMember({ chain: forged, keys: joiner, newKeys, now })).data).toEqual({
      reason: 'role_escalated',
    })
  })

  const mistakes: { name: string; chain: readonly Certificate[]; keys: MemberKeys; newKeys?: MemberKeys }[] = [
    { name: 'signed by somebody else', chain: joinerChain, keys: stranger },
    { name: 'signed by an admin', chain: joinerChain, keys: founder },
    { name: 'with the box key of somebody else', chain: joinerChain, keys: { ...joiner, box: stranger.box } },
    { name: 'of no member', chain: joinerChain.slice(1), keys: joiner },
    { name: 'of nobody', chain: [], keys: joiner },
    { name: 'to the keys of now', chain: joinerChain, keys: joiner, newKeys: joiner },
    {
      name: 'to the signing key of now',
      chain: joinerChain,
      keys: joiner,
      newKeys: { ...newKeys, signing: joiner.signing },
    },
    { name: 'to the box key of now', chain: joinerChain, keys: joiner, newKeys: { ...newKeys, box: joiner.box } },
    {
      name: 'to a key of an epoch before',
      ...rotateTimes({ chain: joinerChain, keys: joiner }, 2),
      newKeys: { ...newKeys, box: joiner.box },
    },
  ]
  for (const row of mistakes) {
    test(`as a mistake of the program: ${row.name}`, () => {
      expect(() => rotateMember({ newKeys, now: now + day, ...row })).toThrow(
        expect.objectContaining({ code: 'ERR_ASSERTION' }),
      )
    })
  }
})

function rotateTimes(start: Epoch, count: number, before = 0): Epoch {
  let epoch = start
  for (let number = before + 1; number <= before + count; number += 1) {
    const newKeys = generateMemberKeys()
    epoch = { chain: rotateMember({ ...epoch, newKeys, now: now + number }), keys: newKeys }
    expect(memberOf(epoch.chain)).toMatchObject({
      memberId: memberOf(start.chain).memberId,
      epoch: number,
      boxKey: newKeys.box.publicKey,
    })
  }
  return epoch
}

function memberOf(chain: readonly Certificate[]) {
  const verdict = verifyChain({ mesh, chain, now: now + day })
  return verdict.ok ? verdict.member : expect.fail(verdict.reason)
}

function join(
  keys: MemberKeys,
  inviter: Epoch = { chain: founderChain, keys: founder },
  invitedAt = founded,
): readonly Certificate[] {
  const { token } = createInvite({
    mesh,
    brokerUrl: 'ws://127.0.0.1:7777/v1/ws',
    issuer: { signing: inviter.keys.signing, chain: inviter.chain },
    inviteId: '01JD8Z6K3V0000000000000002',
    role: 'member',
    uses: 1,
    notBefore: invitedAt,
    notAfter: invitedAt + 7 * day,
  })
  return acceptInvite({ invite: decodeInviteToken(token), name: 'bob', keys, now: invitedAt + day })
}

/** A member that the root certified until a time. */
function certify(keys: MemberKeys, notAfter: number): MemberCertificate {
  return signMemberCertificate({
    meshId,
    memberId: keys.signing.publicKey,
    name: 'eve',
    role: 'member',
    keys,
    epoch: 0,
    notBefore: founded,
    notAfter,
    issuer: root,
  })
}

function errorOf(run: () => unknown): MeshError {
  try {
    run()
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
  return expect.fail('nothing was thrown')
}
