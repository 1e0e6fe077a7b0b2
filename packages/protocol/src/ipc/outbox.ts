/** `/v1/outbox` and its operations (02 §5). */
import { type Static, Type } from 'typebox'
import {
  closed,
  destinationKindSchema,
  outboxStatusSchema,
  pageLimitSchema,
  prioritySchema,
  timeSchema,
  ulidSchema,
} from './schemas.ts'
import { receiptSchema, sendStateSchema } from './send.ts'

export const outboxRowSchema = Type.Object({
  id: ulidSchema,
  client_message_id: Type.String(),
  status: outboxStatusSchema,
  state: sendStateSchema,
  destination_kind: destinationKindSchema,
  destination_ref: Type.String(),
  priority: prioritySchema,
  enqueued_at: timeSchema,
  attempts: Type.Integer(),
  next_attempt_at: timeSchema,
  last_error: Type.Union([Type.String(), Type.Null()]),
  delivered_at: Type.Union([timeSchema, Type.Null()]),
  broker_message_id: Type.Union([Type.String(), Type.Null()]),
  history_id: Type.Union([Type.String(), Type.Null()]),
  recipient_count: Type.Union([Type.Integer(), Type.Null()]),
  receipts: Type.Boolean({ description: 'false: no receipts beyond `accepted` were asked for' }),
  reply_to_id: Type.Union([Type.String(), Type.Null()]),
  aborted_at: Type.Union([timeSchema, Type.Null()]),
  aborted_by: Type.Union([Type.String(), Type.Null()]),
  superseded_by: Type.Union([Type.String(), Type.Null()]),
  released_at: Type.Union([timeSchema, Type.Null()]),
  message_bytes: Type.Union([Type.Integer(), Type.Null()]),
})

/** Keyset pages in order of acceptance, newest first; `after` is the id of the last row seen. */
export const outboxQuerySchema = Type.Object(
  {
    status: Type.Optional(outboxStatusSchema),
    after: Type.Optional(ulidSchema),
    limit: Type.Optional(pageLimitSchema),
  },
  closed,
)
export const outboxListSchema = Type.Object({
  rows: Type.Array(outboxRowSchema),
  next: Type.Union([ulidSchema, Type.Null()]),
})

/** One row with its receipts and the whole chain of successors, oldest first. */
export const outboxDetailSchema = Type.Object({
  row: outboxRowSchema,
  receipts: Type.Array(receiptSchema),
  chain: Type.Array(outboxRowSchema),
})

export const requeueRequestSchema = Type.Object(
  {
    new_client_id: Type.Optional(
      Type.String({ description: 'the new idempotency key, or `auto` (default) for a minted one' }),
    ),
    patch_payload: Type.Optional(
      Type.Unknown({ description: 'a whole new send request body, validated as a POST would be' }),
    ),
    release_old_id: Type.Optional(Type.Boolean()),
  },
  closed,
)
export const requeueResponseSchema = Type.Object({ old: outboxRowSchema, new: outboxRowSchema })
export const dropResponseSchema = Type.Object({ row: outboxRowSchema })

export const pruneRequestSchema = Type.Object(
  {
    status: Type.Optional(Type.Array(Type.Union([Type.Literal('dead'), Type.Literal('aborted')]), { minItems: 1 })),
    older_than_ms: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  closed,
)
export const pruneResponseSchema = Type.Object({ pruned: Type.Integer() })

/** Of sealing what waits, before a copy of the outbox is made. */
export const freezeResponseSchema = Type.Object({
  frozen: Type.Integer({ description: 'rows that were sealed now' }),
  unsealed: Type.Integer({ description: 'rows whose recipients are not known, or that cannot be sealed' }),
})

export type OutboxRowView = Static<typeof outboxRowSchema>
export type OutboxQuery = Static<typeof outboxQuerySchema>
export type OutboxList = Static<typeof outboxListSchema>
export type OutboxDetail = Static<typeof outboxDetailSchema>
export type RequeueRequest = Static<typeof requeueRequestSchema>
export type RequeueResponse = Static<typeof requeueResponseSchema>
export type DropResponse = Static<typeof dropResponseSchema>
export type FreezeResponse = Static<typeof freezeResponseSchema>
export type PruneRequest = Static<typeof pruneRequestSchema>
export type PruneResponse = Static<typeof pruneResponseSchema>
