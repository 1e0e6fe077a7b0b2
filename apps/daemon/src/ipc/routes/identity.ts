/** `GET /v1/identity`, `POST /v1/identity/rotate-keypair`, `/rotate-token`, and revoking members and invites. */
import {
  type Identity,
  identitySchema,
  type RevokeInviteResponse,
  type RevokeMemberRequest,
  type RevokeMemberResponse,
  type RotateKeypairResponse,
  type RotateTokenResponse,
  revokeInviteResponseSchema,
  revokeMemberRequestSchema,
  revokeMemberResponseSchema,
  rotateKeypairResponseSchema,
  rotateTokenResponseSchema,
  ulidPattern,
} from '@claudemesh/protocol'
import { Type } from 'typebox'
import type { RouteFamily } from '../app.ts'

export interface IdentityOperations {
  readonly identity: () => Identity
  readonly rotateKeypair: () => RotateKeypairResponse
  readonly rotateToken: () => RotateTokenResponse
  readonly revokeMember: (member: string, request: RevokeMemberRequest) => Promise<RevokeMemberResponse>
  readonly revokeInvite: (inviteId: string) => Promise<RevokeInviteResponse>
}

const memberParams = Type.Object({
  member: Type.String({ minLength: 1, maxLength: 128, description: 'a name or a member id' }),
})
const inviteParams = Type.Object({ invite_id: Type.String({ pattern: ulidPattern }) })

export function identityRoutes(operations: IdentityOperations): RouteFamily {
  return (app) => {
    app.get(
      '/v1/identity',
      { schema: { tags: ['identity'], summary: 'Who this host is', response: { 200: identitySchema } } },
      async () => operations.identity(),
    )
    app.post(
      '/v1/identity/rotate-keypair',
      {
        schema: {
          tags: ['identity'],
          summary: 'Replace the keys of this member; late messages to the old ones still open',
          response: { 200: rotateKeypairResponseSchema },
        },
      },
      async () => operations.rotateKeypair(),
    )
    app.post(
      '/v1/identity/rotate-token',
      {
        schema: {
          tags: ['identity'],
          summary: 'Replace the token of the TCP listener; the old one holds for a minute more',
          response: { 200: rotateTokenResponseSchema },
        },
      },
      async () => operations.rotateToken(),
    )
    app.post(
      '/v1/members/:member/revoke',
      {
        schema: {
          tags: ['identity'],
          summary: 'End the place of a member in the mesh, for ever; for admins',
          params: memberParams,
          body: Type.Union([revokeMemberRequestSchema, Type.Null()]),
          response: { 200: revokeMemberResponseSchema },
        },
      },
      async ({ params, body }) => operations.revokeMember(params.member, body ?? {}),
    )
    app.post(
      '/v1/invites/:invite_id/revoke',
      {
        schema: {
          tags: ['identity'],
          summary: 'Let nobody else join by an invite; for admins',
          params: inviteParams,
          response: { 200: revokeInviteResponseSchema },
        },
      },
      async ({ params }) => operations.revokeInvite(params.invite_id),
    )
  }
}
