/** Holds the code to the vectors that implementations in other languages are held to. */
import { readFileSync } from 'node:fs'
import {
  type Certificate,
  type ConnectionOptions,
  canonicalJson,
  type InviteCertificate,
  type MemberCertificate,
  type MeshRecord,
  type RevocationList,
  revocationListSchema,
} from '@claudemesh/protocol'
import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import { signInviteCertificate, signMemberCertificate, verifyCertificate } from './certificate.ts'
import { verifyChain } from './chain.ts'
import { findRevocation, type Revocation } from './find-revocation.ts'
import { helloBytes, signHello, verifyHello } from './hello.ts'
import { fingerprintOf } from './host-fingerprint.ts'
import { decodeInviteToken, encodeInviteToken } from './invite.ts'
import { boxKeyId } from './key-archive.ts'
import { importBoxKeyPair, importSigningKeyPair, type MemberKeys, type SigningKeyPair } from './keys.ts'
import { signMeshRecord } from './mesh-record.ts'
import { verifyRevocationList } from './revocation.ts'
import { rotateMember } from './rotation.ts'
import { signDocument } from './signed-document.ts'

interface KeyVector {
  readonly seed: string
  readonly public_key: string
}
interface MemberInput extends Omit<MemberCertificate, 'not_after' | 'signing_key' | 'box_key' | 'issuer_key'> {
  readonly not_after: number | null
  readonly keys: string
  readonly issuer: string
}
interface InviteInput extends Omit<InviteCertificate, 'invite_key' | 'issuer_key'> {
  readonly key: string
  readonly issuer: string
}

const keyVectors = read<{ signing: Record<string, KeyVector>; box: Record<string, KeyVector> }>('keys.json')
const certificateVectors = read<{
  mesh: { root: string; record: MeshRecord; signed: string }
  certificates: { name: string; input: MemberInput | InviteInput; certificate: Certificate }[]
}>('certificates.json')
const chainVectors = read<{
  chains: { name: string; chain: string[]; now: number; verdict: Record<string, unknown> }[]
}>('chains.json')
const tokenVector = read<{
  payload: { broker_url: string; invite_seed: string; mesh: MeshRecord; chain: Certificate[] }
  token: string
}>('invite-token.json')
const helloVector = read<{
  origin: string
  mesh_id: string
  member_id: string
  nonce: string
  options: ConnectionOptions
  keys: string
  signed: string
  signature: string
}>('hello.json')
const revocationVectors = read<{
  lists: { name: string; issuer: string; signed: string; list: RevocationList }[]
  verdicts: {
    list: string
    issuer_chain: string[]
    previous: string | null
    now: number
    verdict: { ok: boolean; reason?: string }
  }[]
  members: { list: string; chain: string[]; first_seen_at?: number | null; revocation: Revocation | null }[]
}>('revocations.json')
const rotationVectors = read<{
  rotations: {
    name: string
    chain: string[]
    keys: string
    new_keys: string
    now: number
    certificate: MemberCertificate
  }[]
  key_ids: { box_key: string; key_id: string }[]
}>('rotations.json')
const hostVectors = read<{
  fingerprints: { host_id: string | null; mac: string | null; fingerprint: string }[]
}>('host-fingerprints.json')

const certificates = new Map(certificateVectors.certificates.map(({ name, certificate }) => [name, certificate]))

describe('keys.json', () => {
  for (const [name, vector] of Object.entries(keyVectors.signing)) {
    test(`the signing key of ${name} comes from its seed`, () => {
      expect(signingPair(name).publicKey).toBe(vector.public_key)
    })
  }
  for (const [name, vector] of Object.entries(keyVectors.box)) {
    test(`the box key of ${name} comes from its seed`, () => {
      expect(importBoxKeyPair(Buffer.from(vector.seed, 'hex')).publicKey).toBe(vector.public_key)
    })
  }
})

describe('certificates.json', () => {
  test('the mesh record is what its root key signs', () => {
    const { root, record, signed } = certificateVectors.mesh
    const { signature, ...facts } = record
    expect(`claudemesh-mesh-v1\u0000${canonicalJson(facts)}`).toBe(signed)
    expect(
      signMeshRecord({
        meshId: record.mesh_id,
        slug: record.slug,
        createdAt: record.created_at,
        root: signingPair(root),
      }),
    ).toEqual(record)
    expect(signature).toHaveLength(86)
  })

  for (const { name, input, certificate } of certificateVectors.certificates) {
    test(`${name} is signed to the same certificate`, () => {
      expect(input.kind === 'member' ? signMember(input) : signInvite(input)).toEqual(certificate)
      expect(verifyCertificate(certificate)).toBe(true)
    })
  }
})

describe('chains.json', () => {
  for (const row of chainVectors.chains) {
    test(`${row.name}: ${row.verdict['ok'] === true ? 'believed' : String(row.verdict['reason'])}`, () => {
      const chain = chainOf(row.chain)
      const verdict = verifyChain({ mesh: certificateVectors.mesh.record, chain, now: row.now })
      const told = verdict.ok
        ? { ok: true, member_id: verdict.member.memberId, role: verdict.member.role, epoch: verdict.member.epoch }
        : verdict
      expect(told).toEqual(row.verdict)
    })
  }
})

test('invite-token.json: the payload is written as the token and read back from it', () => {
  const { payload, token } = tokenVector
  const invite = {
    mesh: payload.mesh,
    brokerUrl: payload.broker_url,
    inviteSeed: Buffer.from(payload.invite_seed, 'base64url'),
    chain: payload.chain,
  }
  expect(encodeInviteToken(invite)).toBe(token)
  expect(decodeInviteToken(token)).toEqual(invite)
})

test('hello.json: the claims have these bytes and this signature', () => {
  const { origin, nonce, options, signature } = helloVector
  const claims = { origin, meshId: helloVector.mesh_id, memberId: helloVector.member_id, nonce, options }
  const keys = signingPair(helloVector.keys)
  expect(helloBytes(claims).toString('hex')).toBe(helloVector.signed)
  expect(signHello({ ...claims, keys })).toBe(signature)
  expect(verifyHello({ ...claims, signature, publicKey: keys.publicKey })).toBe(true)
})

describe('revocations.json', () => {
  const lists = new Map(revocationVectors.lists.map(({ name, list }) => [name, list]))
  const check = Compile(revocationListSchema)

  for (const { name, issuer, signed, list } of revocationVectors.lists) {
    test(`the list ${name} has the form of one, and is what its issuer signs or was changed since`, () => {
      expect(check.Check(list)).toBe(true)
      const { signature, ...claims } = list
      const isChanged = `claudemesh-revocation-v1\u0000${canonicalJson(claims)}` !== signed
      expect(isChanged).toBe(name === 'second, changed')
      if (isChanged) return
      expect(signDocument('claudemesh-revocation-v1', claims, signingPair(issuer))).toBe(signature)
    })
  }

  for (const { list, issuer_chain, previous, now, verdict } of revocationVectors.verdicts) {
    const shown = issuer_chain.length === 0 ? 'the root key' : issuer_chain.join(' < ')
    test(`${list}, by ${shown}, after ${previous ?? 'none'}: ${verdict.reason ?? 'believed'}`, () => {
      const judged = verifyRevocationList({
        mesh: certificateVectors.mesh.record,
        list: present(lists.get(list)),
        issuerChain: chainOf(issuer_chain),
        previous: previous === null ? null : present(lists.get(previous)),
        now,
      })
      expect(judged).toMatchObject(verdict)
    })
  }

  for (const row of revocationVectors.members) {
    const seen = row.first_seen_at === undefined ? 'by its dates' : `first seen ${row.first_seen_at ?? 'never'}`
    test(`${row.chain[0]}, by the list ${row.list}, ${seen}: ${row.revocation?.reason ?? 'trusted'}`, () => {
      const { first_seen_at: firstSeenAt } = row
      const found = findRevocation({
        list: present(lists.get(row.list)),
        chain: chainOf(row.chain),
        ...(firstSeenAt === undefined ? {} : { firstSeenAt: () => firstSeenAt }),
      })
      expect(found).toEqual(row.revocation)
    })
  }
})

describe('rotations.json', () => {
  for (const row of rotationVectors.rotations) {
    test(`${row.name} rotates to the same certificate`, () => {
      const chain = chainOf(row.chain)
      const rotated = rotateMember({
        chain,
        keys: memberKeys(row.keys),
        newKeys: memberKeys(row.new_keys),
        now: row.now,
      })
      expect(rotated).toEqual([row.certificate, ...chain])
    })
  }

  for (const { box_key, key_id } of rotationVectors.key_ids) {
    test(`the box key ${box_key.slice(0, 8)} has its key id`, () => expect(boxKeyId(box_key)).toBe(key_id))
  }
})

describe('host-fingerprints.json', () => {
  for (const { host_id, mac, fingerprint } of hostVectors.fingerprints) {
    test(`the host ${host_id ?? 'without an id'} with ${mac ?? 'no address'}`, () => {
      expect(fingerprintOf(host_id, mac)).toBe(fingerprint)
    })
  }
})

function chainOf(names: readonly string[]): Certificate[] {
  return names.map((name) => present(certificates.get(name)))
}

function signMember(input: MemberInput): MemberCertificate {
  return signMemberCertificate({
    meshId: input.mesh_id,
    memberId: input.member_id,
    name: input.name,
    role: input.role,
    keys: memberKeys(input.keys),
    epoch: input.epoch,
    notBefore: input.not_before,
    notAfter: input.not_after,
    issuer: signingPair(input.issuer),
  })
}

function signInvite(input: InviteInput): InviteCertificate {
  return signInviteCertificate({
    meshId: input.mesh_id,
    inviteId: input.invite_id,
    inviteKey: signingPair(input.key).publicKey,
    role: input.role,
    uses: input.uses,
    notBefore: input.not_before,
    notAfter: input.not_after,
    issuer: signingPair(input.issuer),
  })
}

function signingPair(name: string): SigningKeyPair {
  return importSigningKeyPair(Buffer.from(present(keyVectors.signing[name]).seed, 'hex'))
}

function memberKeys(name: string): MemberKeys {
  const box = importBoxKeyPair(Buffer.from(present(keyVectors.box[name]).seed, 'hex'))
  return { signing: signingPair(name), box }
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the vectors name something that they do not contain')
  return value
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')) as T
}
