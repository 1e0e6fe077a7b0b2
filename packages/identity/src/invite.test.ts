import { createHash } from 'node:crypto'
import {
  type Certificate,
  canonicalJson,
  type InviteCertificate,
  type JsonObject,
  MeshError,
} from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { verifyChain } from './chain.ts'
import { foundMesh } from './founding.ts'
import { acceptInvite, createInvite, decodeInviteToken, encodeInviteToken, type InvitePayload } from './invite.ts'
import { generateMemberKeys, generateSigningKeyPair } from './keys.ts'

const day = 86_400_000
const now = 1_700_000_000_000
const brokerUrl = 'wss://broker.example/v1/ws'
const root = generateSigningKeyPair()
const founder = generateMemberKeys()
const { mesh, chain } = foundMesh({
  slug: 'home',
  name: 'ada',
  meshId: '01JD8Z6K3V0000000000000000',
  now,
  keys: founder,
  root,
})
const { token, certificate } = invite({ signing: founder.signing, chain })

describe('an invite', () => {
  test('admits a joiner whom everybody believes', () => {
    const keys = generateMemberKeys()
    const joined = acceptInvite({ invite: decodeInviteToken(token), name: 'bob', keys, now: now + 1 })
    expect(verifyChain({ mesh, chain: joined, now: now + 1 })).toEqual({
      ok: true,
      member: {
        memberId: keys.signing.publicKey,
        name: 'bob',
        role: 'member',
        signingKey: keys.signing.publicKey,
        boxKey: keys.box.publicKey,
        epoch: 0,
        invites: [{ inviteId: certificate.invite_id, uses: 3, notAfter: now + day, memberId: keys.signing.publicKey }],
      },
    })
  })

  test('can be made with the root key itself', () => {
    const byRoot = invite({ signing: root, chain: [] })
    const joined = acceptInvite({
      invite: decodeInviteToken(byRoot.token),
      name: 'bob',
      keys: generateMemberKeys(),
      now,
    })
    expect(verifyChain({ mesh, chain: joined, now })).toMatchObject({ ok: true })
  })

  test('admits admins that invite in their turn, until the chain is as long as allowed', () => {
    let issuer = { signing: founder.signing, chain }
    for (let generation = 0; generation < 3; generation += 1) {
      const keys = generateMemberKeys()
      const next = invite(issuer, { role: 'admin' })
      const joined = acceptInvite({ invite: decodeInviteToken(next.token), name: 'eve', keys, now })
      expect(verifyChain({ mesh, chain: joined, now })).toMatchObject({ ok: true, member: { role: 'admin' } })
      issuer = { signing: keys.signing, chain: [...joined] }
    }
    expect(codeOf(() => invite(issuer))).toBe('not_admin')
  })

  test('is not made by a member that is no admin', () => {
    const keys = generateMemberKeys()
    const joined = acceptInvite({ invite: decodeInviteToken(token), name: 'bob', keys, now })
    expect(codeOf(() => invite({ signing: keys.signing, chain: joined }))).toBe('not_admin')
  })

  test('is not made with a key that is not the one of the chain', () => {
    expect(() => invite({ signing: generateSigningKeyPair(), chain })).toThrow('the key that the chain is about')
    expect(() => invite({ signing: founder.signing, chain: [] })).toThrow('the key that the chain is about')
  })

  test('is not made for an address that is no broker', () => {
    expect(codeOf(() => invite({ signing: root, chain: [] }, { brokerUrl: 'localhost:7777' }))).toBe('config_invalid')
  })

  test('is good to the last millisecond and no longer', () => {
    const accept = (at: number) =>
      acceptInvite({ invite: decodeInviteToken(token), name: 'bob', keys: generateMemberKeys(), now: at })
    expect(accept(now + day - 1)).toHaveLength(3)
    expect(codeOf(() => accept(now + day))).toBe('invite_expired')
  })

  test('can be taken by a host whose clock is somewhat behind', () => {
    const joined = acceptInvite({
      invite: decodeInviteToken(token),
      name: 'bob',
      keys: generateMemberKeys(),
      now: now - 60_000,
    })
    expect(verifyChain({ mesh, chain: joined, now })).toMatchObject({ ok: true })
  })

  test('is never older than the certificate of its issuer', () => {
    const early = invite({ signing: founder.signing, chain }, { notBefore: now - day })
    expect(early.certificate.not_before).toBe(now)
  })

  for (const name of ['', 'Bob', 'b b', '-bob', 'b'.repeat(65), 'bob\u0000']) {
    test(`refuses ${JSON.stringify(name)} as a name`, () => {
      const accept = () => acceptInvite({ invite: decodeInviteToken(token), name, keys: generateMemberKeys(), now })
      expect(codeOf(accept)).toBe('invalid_request')
    })
  }

  test('is refused when its chain is of another mesh', () => {
    const other = foundMesh({
      slug: 'home',
      name: 'ada',
      meshId: mesh.mesh_id,
      now,
      keys: founder,
      root: generateSigningKeyPair(),
    })
    const payload = { ...decodeInviteToken(token), mesh: other.mesh }
    const accept = () => acceptInvite({ invite: payload, name: 'bob', keys: generateMemberKeys(), now })
    expect(codeOf(accept)).toBe('invalid_token')
  })
})

describe('a token', () => {
  test('is one word that begins with cm1 and reads back as what was written', () => {
    expect(token).toMatch(/^cm1[A-Za-z0-9_-]+$/)
    const payload = decodeInviteToken(token)
    expect(payload.mesh).toEqual(mesh)
    expect(payload.brokerUrl).toBe(brokerUrl)
    expect(payload.chain).toEqual([certificate, ...chain])
    expect(encodeInviteToken(payload)).toBe(token)
  })

  test('may have been broken into lines', () => {
    const broken = ` ${token.replace(/.{60}/g, '$&\r\n  ')}\n`
    expect(encodeInviteToken(decodeInviteToken(broken))).toBe(token)
  })

  test('is refused with any one bit flipped', () => {
    const bytes = Buffer.from(token, 'latin1')
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = flipBit(bytes, bit).toString('latin1')
      if (codeOf(() => decodeInviteToken(flipped)) !== 'invalid_token') expect.fail(`bit ${bit} may be flipped`)
    }
  })

  test('that was changed and given a new checksum admits nobody, except to another address of the broker', () => {
    const payload = payloadBytes(token)
    const url = payload.indexOf(brokerUrl)
    const keys = generateMemberKeys()
    fc.assert(
      fc.property(fc.nat(payload.length * 8 - 1), (bit) => {
        fc.pre(bit >> 3 < url || bit >> 3 >= url + brokerUrl.length)
        const forged = tokenOf(flipBit(payload, bit))
        const join = () => acceptInvite({ invite: decodeInviteToken(forged), name: 'bob', keys, now })
        // A date that was moved into the past is met before its signature is.
        expect(['invalid_token', 'invite_expired']).toContain(codeOf(join))
      }),
      { numRuns: 1000 },
    )
  })

  const good = decodeInviteToken(token)
  const rows: { name: string; text: () => string }[] = [
    { name: 'nothing', text: () => '' },
    { name: 'the prefix alone', text: () => 'cm1' },
    { name: 'fewer bytes than a checksum', text: () => 'cm1AAA' },
    { name: 'another version', text: () => token.replace('cm1', 'cm2') },
    { name: 'the first half', text: () => token.slice(0, token.length / 2) },
    { name: 'a token and a half', text: () => token + token.slice(0, 100) },
    { name: 'padding at its end', text: () => `${token}=` },
    { name: 'more than any token has', text: () => `cm1${'A'.repeat(20_000)}` },
    { name: 'no JSON', text: () => tokenOf(Buffer.from('not JSON')) },
    { name: 'JSON of another form', text: () => tokenOf(Buffer.from('{"mesh":1}')) },
    { name: 'JSON that is not canonical', text: () => tokenOf(Buffer.from(` ${payloadBytes(token)}`)) },
    { name: 'a member beyond the form', text: () => tokenOf(changed({ extra: 1 })) },
    { name: 'no URL', text: () => encodeInviteToken({ ...good, brokerUrl: 'broker' }) },
    { name: 'a URL that is no WebSocket', text: () => encodeInviteToken({ ...good, brokerUrl: 'https://b.example' }) },
    {
      name: 'the key of another invite',
      text: () => encodeInviteToken({ ...good, inviteSeed: Buffer.alloc(32, 1) }),
    },
    { name: 'no certificate', text: () => encodeInviteToken({ ...good, chain: [] }) },
    { name: 'no invite', text: () => encodeInviteToken({ ...good, chain }) },
    {
      name: 'a mesh that its root did not sign',
      text: () => encodeInviteToken({ ...good, mesh: { ...mesh, slug: 'other' } }),
    },
  ]
  for (const row of rows) {
    test(`is refused when it holds ${row.name}, and the error tells nothing of it`, () => {
      const text = row.text()
      const error = errorOf(() => decodeInviteToken(text))
      expect(error.code).toBe('invalid_token')
      expect(error.cause).toBeUndefined()
      const seed = Buffer.from(good.inviteSeed).toString('base64url')
      const told = `${error.message} ${error.hint} ${JSON.stringify(error.data)}`
      expect(told).not.toContain(seed)
      if (text.length > 20) expect(told).not.toContain(text.slice(3, 20))
    })
  }

  function changed(change: JsonObject): Buffer {
    const value = JSON.parse(payloadBytes(token).toString('utf8')) as JsonObject
    return Buffer.from(canonicalJson({ ...value, ...change }))
  }
})

function invite(
  issuer: Parameters<typeof createInvite>[0]['issuer'],
  changes: { role?: 'admin' | 'member'; notBefore?: number; brokerUrl?: string } = {},
): { token: string; certificate: InviteCertificate } {
  return createInvite({
    mesh,
    brokerUrl,
    issuer,
    inviteId: '01JD8Z6K3V0000000000000001',
    role: 'member',
    uses: 3,
    notBefore: now,
    notAfter: now + day,
    ...changes,
  })
}

function payloadBytes(text: string): Buffer {
  return Buffer.from(text.slice(3), 'base64url').subarray(0, -4)
}

/** A token of any payload, with the checksum that belongs to it. */
function tokenOf(payload: Buffer): string {
  const checksum = createHash('sha256').update('cm1').update(payload).digest().subarray(0, 4)
  return `cm1${Buffer.concat([payload, checksum]).toString('base64url')}`
}

function flipBit(bytes: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return flipped
}

function errorOf(run: () => InvitePayload | readonly Certificate[] | object): MeshError {
  try {
    run()
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
  return expect.fail('nothing was thrown')
}

function codeOf(run: Parameters<typeof errorOf>[0]): string {
  return errorOf(run).code
}
