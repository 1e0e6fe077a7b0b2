/** `POST /v1/send`, `/v1/send/batch`, `/v1/topic/post` (02 §4, 03 §2). */
import { type Static, Type } from 'typebox'
import { itemsPerFrameMax, mentionsMax } from '../limits.ts'
import { closed, memberIdSchema, metaSchema, prioritySchema, timeSchema, ulidSchema } from './schemas.ts'

const messageFields = {
  message: Type.String({ description: 'the body; at most the inline limit of the broker, 64 KiB by default' }),
  priority: Type.Optional(prioritySchema),
  meta: Type.Optional(Type.Union([metaSchema, Type.Null()])),
  replyToId: Type.Optional(ulidSchema),
  mentions: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 65 }), { maxItems: mentionsMax })),
  contentType: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  receipts: Type.Optional(Type.Boolean({ description: 'false: ask for no receipts beyond `accepted`' })),
  client_message_id: Type.Optional(Type.String({ description: 'idempotency key; the Idempotency-Key header wins' })),
}

export const sendRequestSchema = Type.Object(
  {
    to: Type.String({ minLength: 1, maxLength: 128, description: '@name, name, member id, #topic or queue:<name>' }),
    ...messageFields,
  },
  closed,
)
export const topicPostRequestSchema = Type.Object(
  {
    topic: Type.String({ minLength: 1, maxLength: 65, description: 'a topic name, with or without #' }),
    ...messageFields,
  },
  closed,
)
export const sendBatchRequestSchema = Type.Array(Type.Unknown(), { minItems: 1, maxItems: itemsPerFrameMax })

/** Until which state a request waits. */
export const waitStateSchema = Type.Union([Type.Literal('accepted'), Type.Literal('delivered'), Type.Literal('read')])
const traceHeaders = {
  traceparent: Type.Optional(
    Type.String({
      description: 'W3C trace context: travels sealed with the message; what is not valid is as if it were not there',
    }),
  ),
  tracestate: Type.Optional(Type.String({ description: 'as the W3C has it, beside a traceparent' })),
}
const keyHeader = {
  'Idempotency-Key': Type.Optional(
    Type.String({ description: 'the client_message_id of the send, bare or in double quotes; it wins over the field' }),
  ),
}
export const sendHeadersSchema = Type.Object({ ...keyHeader, ...traceHeaders })
/** The trace of all messages of a batch; each has a key of its own. */
export const sendBatchHeadersSchema = Type.Object(traceHeaders)
/** Of a share, whose message goes out later. */
export const shareHeadersSchema = Type.Object(keyHeader)

export const sendQuerySchema = Type.Object(
  {
    wait: Type.Optional(Type.Integer({ minimum: 0, maximum: 30_000, description: 'milliseconds to wait for `until`' })),
    until: Type.Optional(waitStateSchema),
  },
  closed,
)

/** What is proven of a message at one recipient; there may be several for each. */
export const receiptSchema = Type.Object({
  recipient: memberIdSchema,
  state: Type.Union([Type.Literal('delivered'), Type.Literal('read'), Type.Literal('undeliverable')], {
    description:
      'delivered: it is in the inbox there; read: its reader marked it; undeliverable: it will not get there',
  }),
  at: timeSchema,
  reason: Type.Optional(
    Type.String({
      description: 'why it is undeliverable: revoked, left, undecryptable, rejected, expired or max_deliveries',
    }),
  ),
})

/** What is proven of a send so far (02 §10); `dead` and `aborted` end it. */
export const sendStateSchema = Type.Union([
  Type.Literal('queued'),
  Type.Literal('accepted'),
  Type.Literal('delivered'),
  Type.Literal('read'),
  Type.Literal('undeliverable'),
  Type.Literal('dead'),
  Type.Literal('aborted'),
])

/** The answer to an accepted send. `status` is the row's state; `queued` is a new or still pending row. */
export const sendResponseSchema = Type.Object({
  status: Type.Union([
    Type.Literal('queued'),
    Type.Literal('inflight'),
    Type.Literal('done'),
    Type.Literal('dead'),
    Type.Literal('aborted'),
  ]),
  state: sendStateSchema,
  client_message_id: Type.String(),
  outbox_id: ulidSchema,
  duplicate: Type.Optional(Type.Boolean()),
  broker_message_id: Type.Optional(ulidSchema),
  history_id: Type.Optional(Type.String()),
  recipient_count: Type.Optional(Type.Integer()),
  receipts: Type.Optional(Type.Array(receiptSchema)),
  last_error: Type.Optional(Type.String()),
})

export const sendBatchResponseSchema = Type.Object({
  items: Type.Array(Type.Object({ status: Type.Integer(), body: Type.Unknown() })),
})

export type SendRequest = Static<typeof sendRequestSchema>
export type TopicPostRequest = Static<typeof topicPostRequestSchema>
export type SendQuery = Static<typeof sendQuerySchema>
export type SendResponse = Static<typeof sendResponseSchema>
export type SendBatchResponse = Static<typeof sendBatchResponseSchema>
export type SendState = Static<typeof sendStateSchema>
export type WaitState = Static<typeof waitStateSchema>
export type Receipt = Static<typeof receiptSchema>
