/** `/v1/file/*`: sharing files and packages with peers and topics (06 §16, §17). */
import { type Static, Type } from 'typebox'
import { clientMessageIdPattern } from '../ids.ts'
import { contentAddressSchema } from './artifacts.ts'
import { closed, pageLimitSchema, timeSchema, ulidSchema } from './schemas.ts'

const daySeconds = 86_400
const sizeBytes = Type.Integer({ minimum: 0 })
const peer = Type.String({
  pattern: '^([0-9a-f]{64}|#[a-z0-9][a-z0-9._-]{0,63})$',
  description: 'a member id, or # and the name of a topic',
})

const shareFields = {
  to: Type.String({ minLength: 1, maxLength: 128, description: '@name, name, member id or #topic' }),
  name: Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, description: 'what its recipients see; a file name, no path' }),
  ),
  message: Type.Optional(
    Type.String({ minLength: 1, description: 'what is said with it; at most what travels inline' }),
  ),
  retention_class: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: 'of what is taken in for it here; transient by default' }),
  ),
  expires_in: Type.Optional(
    Type.Integer({
      minimum: 60,
      maximum: 30 * daySeconds,
      description: 'seconds that it can be fetched for; 7 days by default',
    }),
  ),
  client_message_id: Type.Optional(
    Type.String({
      pattern: clientMessageIdPattern,
      description: 'idempotency key of the share; the Idempotency-Key header wins',
    }),
  ),
}

export const shareRequestSchema = Type.Object(
  {
    path: Type.Optional(
      Type.String({ minLength: 1, maxLength: 4096, description: 'a regular file or a directory, absolute' }),
    ),
    content_address: Type.Optional(contentAddressSchema),
    file_id: Type.Optional(ulidSchema),
    package_id: Type.Optional(ulidSchema),
    ...shareFields,
  },
  { ...closed, description: 'exactly one of path, content_address, file_id and package_id says what is shared' },
)
export type ShareRequest = Static<typeof shareRequestSchema>

/** Of a request whose body is the file itself. */
export const shareQuerySchema = Type.Object(
  {
    ...shareFields,
    // A request that says it in its body has none of these.
    to: Type.Optional(shareFields.to),
  },
  closed,
)
export type ShareQuery = Static<typeof shareQuerySchema>

const shareStatusSchema = Type.Union(
  [
    Type.Literal('created'),
    Type.Literal('uploaded'),
    Type.Literal('sent'),
    Type.Literal('received'),
    Type.Literal('fetched'),
    Type.Literal('revoked'),
  ],
  {
    description:
      'created, uploaded (all ciphertext is at the broker), sent (the outbox has the message); received, fetched; revoked',
  },
)

export const shareResponseSchema = Type.Object({
  share_id: ulidSchema,
  package_id: ulidSchema,
  file_id: Type.Optional(ulidSchema),
  content_address: contentAddressSchema,
  sha256: Type.String({ description: 'of the file, or of the manifest of the package' }),
  size_bytes: sizeBytes,
  client_message_id: Type.String({ description: 'of the message that it goes out with' }),
  status: shareStatusSchema,
})
export type ShareResponse = Static<typeof shareResponseSchema>

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])

/** A share as lists and events have it. */
export const shareViewSchema = Type.Object({
  share_id: ulidSchema,
  direction: Type.Union([Type.Literal('sent'), Type.Literal('received')]),
  status: shareStatusSchema,
  peer: Type.String({ description: 'the member it came from or goes to, or # and a topic' }),
  peer_name: nullable(Type.String()),
  name: Type.String(),
  media_type: Type.String(),
  size_bytes: sizeBytes,
  content_address: contentAddressSchema,
  package_id: nullable(Type.String()),
  file_id: nullable(Type.String()),
  client_message_id: nullable(Type.String()),
  created_at: timeSchema,
  expires_at: nullable(timeSchema),
})
export type ShareView = Static<typeof shareViewSchema>

export const shareListQuerySchema = Type.Object(
  {
    direction: Type.Optional(Type.Union([Type.Literal('sent'), Type.Literal('received')])),
    peer: Type.Optional(peer),
    since: Type.Optional(timeSchema),
    after: Type.Optional(ulidSchema),
    limit: Type.Optional(pageLimitSchema),
  },
  closed,
)
export type ShareListQuery = Static<typeof shareListQuerySchema>

export const shareListSchema = Type.Object({
  shares: Type.Array(shareViewSchema),
  next: nullable(Type.String()),
})
export type ShareList = Static<typeof shareListSchema>

export const fileGetQuerySchema = Type.Object(
  {
    id: Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'a share, a file, a package (with path) or a content address',
    }),
    path: Type.Optional(Type.String({ minLength: 1, maxLength: 1024, description: 'a file of the package' })),
  },
  closed,
)
export type FileGetQuery = Static<typeof fileGetQuerySchema>

export const shareRevokeRequestSchema = Type.Object(
  { share_id: ulidSchema, reason: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })) },
  closed,
)
