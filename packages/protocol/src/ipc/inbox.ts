/** `/v1/inbox`, `/v1/inbox/search`, `/v1/inbox/mark`, `/v1/messages/:id`, `/v1/threads/:id`. */
import { type Static, Type } from 'typebox'
import {
  closed,
  destinationKindSchema,
  memberIdSchema,
  metaSchema,
  pageLimitSchema,
  prioritySchema,
  timeSchema,
  ulidSchema,
} from './schemas.ts'

/** A message as its reader sees it. `id` is the broker_message_id: the same at every member, and what one replies to. */
export const messageSchema = Type.Object({
  id: ulidSchema,
  direction: Type.Union([Type.Literal('received'), Type.Literal('sent')]),
  history_id: Type.Union([Type.String(), Type.Null()]),
  client_message_id: Type.String(),
  sender: memberIdSchema,
  sender_name: Type.Union([Type.String(), Type.Null()]),
  destination_kind: destinationKindSchema,
  destination_ref: Type.String(),
  reply_to_id: Type.Union([ulidSchema, Type.Null()]),
  priority: prioritySchema,
  /** Null when the message could not be opened, or when its text is no longer kept. */
  message: Type.Union([Type.String(), Type.Null()]),
  meta: Type.Union([metaSchema, Type.Null()]),
  content_type: Type.Union([Type.String(), Type.Null()]),
  mentions: Type.Array(memberIdSchema),
  traceparent: Type.Union([Type.String(), Type.Null()], { description: 'W3C trace context of the send' }),
  tracestate: Type.Union([Type.String(), Type.Null()]),
  opened: Type.Boolean({ description: 'false: the message could not be opened and is kept as it came' }),
  /** Null when it was opened. `sender_unknown` and `not_a_recipient` are tried again when a key is learnt. */
  unopened_reason: Type.Union([
    Type.Literal('malformed'),
    Type.Literal('header_mismatch'),
    Type.Literal('sender_unknown'),
    Type.Literal('not_a_recipient'),
    Type.Literal('not_authentic'),
    Type.Literal('content_unreadable'),
    Type.Null(),
  ]),
  accepted_at: timeSchema,
  received_at: Type.Union([timeSchema, Type.Null()]),
  read_at: Type.Union([timeSchema, Type.Null()]),
})

export const inboxQuerySchema = Type.Object(
  {
    since: Type.Optional(timeSchema),
    after: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'id of the last message seen' })),
    topic: Type.Optional(Type.String({ minLength: 1, maxLength: 65 })),
    from: Type.Optional(Type.String({ minLength: 1, maxLength: 65, description: 'a member name or id' })),
    unread: Type.Optional(Type.Boolean()),
    order: Type.Optional(Type.Union([Type.Literal('newest'), Type.Literal('oldest')])),
    limit: Type.Optional(pageLimitSchema),
  },
  closed,
)
export const inboxSearchQuerySchema = Type.Object(
  {
    q: Type.String({ minLength: 1, maxLength: 256 }),
    after: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    limit: Type.Optional(pageLimitSchema),
  },
  closed,
)
export const inboxPageSchema = Type.Object({
  messages: Type.Array(messageSchema),
  next: Type.Union([Type.String(), Type.Null()]),
})

export const markRequestSchema = Type.Object(
  {
    ids: Type.Array(ulidSchema, { minItems: 1, maxItems: 500 }),
    read: Type.Optional(Type.Boolean({ default: true })),
  },
  closed,
)
/** `marked`: how many rows changed; `unknown`: ids that the inbox does not hold. */
export const markResponseSchema = Type.Object({ marked: Type.Integer(), unknown: Type.Array(ulidSchema) })

export const threadSchema = Type.Object({
  root: ulidSchema,
  messages: Type.Array(messageSchema),
  /** True when the chain reaches back to a message that this host never had or no longer keeps. */
  truncated: Type.Boolean(),
})

export type Message = Static<typeof messageSchema>
export type InboxQuery = Static<typeof inboxQuerySchema>
export type InboxSearchQuery = Static<typeof inboxSearchQuerySchema>
export type InboxPage = Static<typeof inboxPageSchema>
export type MarkRequest = Static<typeof markRequestSchema>
export type MarkResponse = Static<typeof markResponseSchema>
export type Thread = Static<typeof threadSchema>
