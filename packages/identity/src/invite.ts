/**
 * Invites (05 §1): an admin delegates to a key pair the right to admit members, and the token carries that pair. The
 * joiner certifies itself with it, so that nobody else has to be online.
 *
 *     cm1 base64url(JCS payload | checksum)        checksum: first 4 bytes of SHA-256('cm1' | JCS payload)
 *
 * 1. A token is a secret: whoever has it can join. No error and no log of this module contains any part of one.
 * 2. The checksum finds what copying damages. What forging damages is found by the signatures inside.
 * 3. A token has one text, and a text that is not exactly that (white space apart) is refused.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  type Certificate,
  canonicalJson,
  certificateSchema,
  type InviteCertificate,
  limits,
  MeshError,
  type MeshRecord,
  meshRecordSchema,
  type Role,
} from '@claudemesh/protocol'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { decodeBase64url } from './base64url.ts'
import { signInviteCertificate, signMemberCertificate, subjectKey } from './certificate.ts'
import { countRotations, verifyChain } from './chain.ts'
import { originOf } from './hello.ts'
import {
  exportSeed,
  generateSigningKeyPair,
  importSigningKeyPair,
  type MemberKeys,
  type SigningKeyPair,
  seedBytes,
} from './keys.ts'
import { verifyMeshRecord } from './mesh-record.ts'
import { assertMemberName } from './names.ts'

/** What a token holds. */
export interface InvitePayload {
  readonly mesh: MeshRecord
  readonly brokerUrl: string
  /** Secret of the invite key. */
  readonly inviteSeed: Uint8Array
  /** The invite's certificate, then the chain of who issued it. */
  readonly chain: readonly Certificate[]
}

/**
 * Makes an invite with a new key.
 *
 * @throws MeshError `not_admin` when the issuer may not invite, when its joiners would be too far from the root key, or
 *   when its own rotations would leave them too few;
 *   `config_invalid` when the broker's URL is none
 */
export function createInvite(input: {
  readonly mesh: MeshRecord
  readonly brokerUrl: string
  readonly issuer: {
    readonly signing: SigningKeyPair
    /** Empty when the root key signs. */
    readonly chain: readonly Certificate[]
  }
  readonly inviteId: string
  readonly role: Role
  readonly uses: number
  readonly notBefore: number
  readonly notAfter: number
}): { readonly token: string; readonly certificate: InviteCertificate } {
  const { mesh, brokerUrl, issuer } = input
  const [issuerCertificate] = issuer.chain
  originOf(brokerUrl)
  assertMayInvite(issuer.chain)
  const issuerKey = issuerCertificate === undefined ? mesh.root_key : subjectKey(issuerCertificate)
  assert(issuer.signing.publicKey === issuerKey, 'an invite is signed with the key that the chain is about')
  const inviteKeys = generateSigningKeyPair()
  const certificate = signInviteCertificate({
    meshId: mesh.mesh_id,
    inviteId: input.inviteId,
    inviteKey: inviteKeys.publicKey,
    role: input.role,
    uses: input.uses,
    // A clock that was set back since the issuer joined must not make an invite that is older than its issuer.
    notBefore: Math.max(input.notBefore, issuerCertificate?.not_before ?? 0),
    notAfter: input.notAfter,
    issuer: issuer.signing,
  })
  const chain = [certificate, ...issuer.chain]
  return { token: encodeInviteToken({ mesh, brokerUrl, inviteSeed: exportSeed(inviteKeys), chain }), certificate }
}

function assertMayInvite(issuerChain: readonly Certificate[]): void {
  const [certificate] = issuerChain
  if (certificate === undefined) return
  if (certificate.kind !== 'member' || certificate.role !== 'admin') {
    throw new MeshError('not_admin', { detail: 'only an admin of the mesh can invite' })
  }
  const rotations = countRotations(issuerChain)
  if (issuerChain.length - rotations + 2 > limits.chainStepsMax) {
    throw new MeshError('not_admin', {
      detail: `whom this member invites would be more than ${limits.chainStepsMax} steps from the root key`,
      hint: 'Ask the admin who invited you, or the owner of the mesh, to make this invite.',
    })
  }
  if (rotations > limits.inviterRotationsMax) {
    throw new MeshError('not_admin', {
      detail: `with ${rotations} rotations up to the root key (at most ${limits.inviterRotationsMax} may invite), this member would leave too few to whom it invites`,
      hint: 'Let an admin with fewer rotations make this invite, or `claudemesh daemon remint` this member.',
    })
  }
}

/**
 * Certifies a new member with the key of its invite.
 *
 * @returns the chain of the new member
 * @throws MeshError `invite_expired`; `invalid_token` when nobody would believe the resulting chain; `invalid_request`
 *   when the name is not one
 */
export function acceptInvite(input: {
  readonly invite: InvitePayload
  readonly name: string
  readonly keys: MemberKeys
  readonly now: number
}): readonly Certificate[] {
  const { invite, name, keys, now } = input
  assertMemberName(name)
  const delegation = inviteCertificateOf(invite)
  if (now >= delegation.not_after) throw new MeshError('invite_expired')
  const certificate = signMemberCertificate({
    meshId: invite.mesh.mesh_id,
    memberId: keys.signing.publicKey,
    name,
    role: delegation.role,
    keys,
    epoch: 0,
    // A joiner whose clock is behind the inviting host's joins at the invite's first instant.
    notBefore: Math.max(now, delegation.not_before),
    notAfter: null,
    issuer: importSigningKeyPair(invite.inviteSeed),
  })
  const chain = [certificate, ...invite.chain]
  const verdict = verifyChain({ mesh: invite.mesh, chain, now })
  if (!verdict.ok)
    throw new MeshError('invalid_token', { detail: 'the invite does not hold', data: { reason: verdict.reason } })
  return chain
}

const prefix = 'cm1'
const checksumBytes = 4
/** Well above a chain of the greatest length; bounds what is decoded before anything is known of it. */
const tokenCharactersMax = 256 * 1024

const payloadSchema = Type.Object(
  {
    broker_url: Type.String({ maxLength: 512 }),
    chain: Type.Array(certificateSchema, { minItems: 1, maxItems: limits.chainLengthMax - 1 }),
    invite_seed: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
    mesh: meshRecordSchema,
  },
  { additionalProperties: false },
)
const payloadCheck = Compile(payloadSchema)

/** The token of an invite: one line, a secret. */
export function encodeInviteToken(invite: InvitePayload): string {
  const payload = Buffer.from(
    canonicalJson({
      broker_url: invite.brokerUrl,
      chain: [...invite.chain],
      invite_seed: Buffer.from(invite.inviteSeed).toString('base64url'),
      mesh: invite.mesh,
    }),
    'utf8',
  )
  return prefix + Buffer.concat([payload, checksumOf(payload)]).toString('base64url')
}

/**
 * Reads a token. White space in it is passed over: terminals and mail programs break long lines.
 *
 * @throws MeshError `invalid_token`
 */
export function decodeInviteToken(text: string): InvitePayload {
  const token = text.replace(/\s+/g, '')
  if (!token.startsWith(prefix)) throw invalidToken('it does not begin with cm1')
  if (token.length > tokenCharactersMax) throw invalidToken('it is too long')
  const bytes = Buffer.from(token.slice(prefix.length), 'base64url')
  if (bytes.toString('base64url') !== token.slice(prefix.length)) throw invalidToken('it is not base64url')
  const payload = bytes.subarray(0, -checksumBytes)
  if (!bytes.subarray(payload.length).equals(checksumOf(payload))) {
    throw invalidToken('its checksum is wrong, part of it is missing or was changed')
  }
  return readPayload(payload)
}

function readPayload(payload: Buffer): InvitePayload {
  const value = parseCanonical(payload.toString('utf8'))
  if (!payloadCheck.Check(value)) throw invalidToken('its content does not have the form of an invite')
  const inviteSeed = decodeBase64url(value.invite_seed, seedBytes)
  if (inviteSeed === null) throw invalidToken('its key is not base64url')
  originOf(value.broker_url, 'invalid_token')
  if (!verifyMeshRecord(value.mesh)) throw invalidToken('the root key did not sign its mesh')
  const invite = { mesh: value.mesh, brokerUrl: value.broker_url, inviteSeed, chain: value.chain }
  if (importSigningKeyPair(inviteSeed).publicKey !== inviteCertificateOf(invite).invite_key) {
    throw invalidToken('its key is not the one that was certified')
  }
  return invite
}

function parseCanonical(text: string): unknown {
  try {
    const value = JSON.parse(text)
    if (canonicalJson(value) === text) return value
  } catch {
    // The parser's message would quote the token, which is a secret.
  }
  throw invalidToken('its content is not canonical JSON')
}

function inviteCertificateOf(invite: InvitePayload): InviteCertificate {
  const [certificate] = invite.chain
  if (certificate?.kind !== 'invite') throw invalidToken('it contains no invite')
  return certificate
}

function checksumOf(payload: Uint8Array): Buffer {
  return createHash('sha256').update(prefix).update(payload).digest().subarray(0, checksumBytes)
}

function invalidToken(fault: string): MeshError {
  return new MeshError('invalid_token', { detail: `this is not an invite token: ${fault}` })
}
