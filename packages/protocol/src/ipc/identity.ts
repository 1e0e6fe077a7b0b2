/** `GET /v1/identity`, `POST /v1/identity/*`, `POST /v1/members/:member/revoke`, `POST /v1/invites/:invite_id/revoke`. */
import { type Static, Type } from 'typebox'
import { roleSchema } from '../certificate.ts'
import { revocationReasonCharactersMax } from '../limits.ts'
import { closed, memberIdSchema, timeSchema, ulidSchema } from './schemas.ts'

const publicKeySchema = Type.String({ description: 'hex' })

/** A replaced box key that still opens late messages. */
const archivedKeySchema = Type.Object({ key_id: Type.String(), epoch: Type.Integer(), expires_at: timeSchema })

export const identitySchema = Type.Object({
  mesh_id: ulidSchema,
  member_id: memberIdSchema,
  name: Type.String(),
  role: roleSchema,
  /** How often the keys were rotated. */
  epoch: Type.Integer(),
  signing_key: publicKeySchema,
  box_key: publicKeySchema,
  /** Certificates up to the root key. */
  chain_length: Type.Integer(),
  /** How often the keys can still be rotated. */
  rotations_left: Type.Integer(),
  archived_keys: Type.Array(archivedKeySchema),
  /** Whether the secret of the root key is on this host. */
  owner: Type.Boolean(),
  ephemeral: Type.Boolean(),
  host: Type.Object({
    fingerprint: Type.String(),
    /** What the fingerprint stands on; `random`: a copy of this home would go unnoticed. */
    basis: Type.String(),
    /** False: this home was accepted on another host. */
    accepted: Type.Boolean(),
  }),
  /** Another host is connected with this identity. */
  conflict: Type.Union([Type.Object({ code: Type.Integer(), name: Type.String(), since: timeSchema }), Type.Null()]),
  /** Number of the newest revocation list that this host has verified; null: none. */
  revocations: Type.Union([Type.Integer(), Type.Null()]),
})

export const rotateKeypairResponseSchema = Type.Object({
  member_id: memberIdSchema,
  epoch: Type.Integer(),
  signing_key: publicKeySchema,
  box_key: publicKeySchema,
  archived_keys: Type.Array(archivedKeySchema),
  /** Where a key archive that could not be used was moved to. */
  quarantined: Type.Union([Type.String(), Type.Null()]),
})

/** The token itself is in no answer: it is read from the file. */
export const rotateTokenResponseSchema = Type.Object({
  path: Type.String(),
  /** Until then the token before is accepted too. */
  previous_expires_at: timeSchema,
})

export const revokeMemberRequestSchema = Type.Object(
  {
    reason: Type.Optional(
      Type.String({
        pattern: `^[^\\u0000-\\u001f\\u007f]{1,${revocationReasonCharactersMax}}$`,
        description: 'for people: one line, signed and shown to everybody',
      }),
    ),
  },
  closed,
)

export const revokeMemberResponseSchema = Type.Object({
  member_id: memberIdSchema,
  /** Null when nobody of that id is known here. */
  name: Type.Union([Type.String(), Type.Null()]),
  /** False: the member was revoked before. */
  changed: Type.Boolean(),
  revoked_at: timeSchema,
  /** Of the revocation list that says so. */
  number: Type.Integer(),
})

export const revokeInviteResponseSchema = Type.Object({
  invite_id: ulidSchema,
  changed: Type.Boolean(),
  revoked_at: timeSchema,
  number: Type.Integer(),
})

export type Identity = Static<typeof identitySchema>
export type RotateKeypairResponse = Static<typeof rotateKeypairResponseSchema>
export type RotateTokenResponse = Static<typeof rotateTokenResponseSchema>
export type RevokeMemberRequest = Static<typeof revokeMemberRequestSchema>
export type RevokeMemberResponse = Static<typeof revokeMemberResponseSchema>
export type RevokeInviteResponse = Static<typeof revokeInviteResponseSchema>
