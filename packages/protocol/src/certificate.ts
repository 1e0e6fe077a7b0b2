/** The forms of certificates, invites and mesh records as they travel (05 §1). Making and checking them is identity's. */
import { type Static, Type } from 'typebox'
import { memberNamePattern, meshSlugPattern } from './destination.ts'
import { memberIdPattern, ulidPattern } from './ids.ts'
import { revocationReasonCharactersMax, revocationsMax, timeMax } from './limits.ts'

const publicKey = Type.String({ pattern: '^[0-9a-f]{64}$' })
/** 64 bytes in unpadded base64url. */
const signature = Type.String({ pattern: '^[A-Za-z0-9_-]{86}$' })
const timestamp = Type.Integer({ minimum: 0, maximum: timeMax })
export const roleSchema = Type.Union([Type.Literal('admin'), Type.Literal('member')])

/** The public facts of a mesh, signed by its root key. */
export const meshRecordSchema = Type.Object(
  {
    mesh_id: Type.String({ pattern: ulidPattern }),
    slug: Type.String({ pattern: meshSlugPattern }),
    root_key: publicKey,
    created_at: timestamp,
    signature,
  },
  { additionalProperties: false },
)

/**
 * Binds a member's keys to its id and name. Signed by the root key, an invite key, or the member's previous key.
 * `possession` is the signature of `signing_key` itself: without it whoever holds an invite could put keys of its own
 * under another member's id.
 */
export const memberCertificateSchema = Type.Object(
  {
    kind: Type.Literal('member'),
    mesh_id: Type.String({ pattern: ulidPattern }),
    member_id: Type.String({ pattern: memberIdPattern }),
    name: Type.String({ pattern: memberNamePattern }),
    role: roleSchema,
    signing_key: publicKey,
    box_key: publicKey,
    not_before: timestamp,
    not_after: Type.Optional(timestamp),
    epoch: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    issuer_key: publicKey,
    possession: signature,
    signature,
  },
  { additionalProperties: false },
)

/** Delegates to an invite key the right to admit members. Signed by the root key or an admin's signing key. */
export const inviteCertificateSchema = Type.Object(
  {
    kind: Type.Literal('invite'),
    mesh_id: Type.String({ pattern: ulidPattern }),
    invite_id: Type.String({ pattern: ulidPattern }),
    invite_key: publicKey,
    role: roleSchema,
    uses: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    not_before: timestamp,
    not_after: timestamp,
    issuer_key: publicKey,
    signature,
  },
  { additionalProperties: false },
)

export const certificateSchema = Type.Union([memberCertificateSchema, inviteCertificateSchema])

const revokedMemberSchema = Type.Object(
  {
    member_id: Type.String({ pattern: memberIdPattern }),
    at: timestamp,
    /** For people. A pattern and not a length bounds it: a length would count characters of any number of bytes. */
    reason: Type.Optional(Type.String({ pattern: `^[^\\u0000-\\u001f\\u007f]{1,${revocationReasonCharactersMax}}$` })),
  },
  { additionalProperties: false },
)

const revokedInviteSchema = Type.Object(
  { invite_id: Type.String({ pattern: ulidPattern }), at: timestamp },
  { additionalProperties: false },
)

/**
 * Everything that was ever revoked in a mesh, signed by an admin or the root key. Each list replaces the one of the
 * number before and contains all of it. Entries ascend by id, so that one set of revocations has one text.
 */
export const revocationListSchema = Type.Object(
  {
    mesh_id: Type.String({ pattern: ulidPattern }),
    number: Type.Integer({ minimum: 1, maximum: timeMax }),
    revoked_members: Type.Array(revokedMemberSchema, { maxItems: revocationsMax }),
    revoked_invites: Type.Array(revokedInviteSchema, { maxItems: revocationsMax }),
    issued_at: timestamp,
    issuer_key: publicKey,
    signature,
  },
  { additionalProperties: false },
)

export type Role = Static<typeof roleSchema>
export type MeshRecord = Static<typeof meshRecordSchema>
export type MemberCertificate = Static<typeof memberCertificateSchema>
export type InviteCertificate = Static<typeof inviteCertificateSchema>
export type Certificate = Static<typeof certificateSchema>
export type RevokedMember = Static<typeof revokedMemberSchema>
export type RevokedInvite = Static<typeof revokedInviteSchema>
export type RevocationList = Static<typeof revocationListSchema>
