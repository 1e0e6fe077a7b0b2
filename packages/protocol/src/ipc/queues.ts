/** `/v1/queue/*`: work that is pulled under a lease, and settled. */
import { type Static, type TSchema, Type } from 'typebox'
import {
  itemsPerFrameMax,
  queueDelayMsMax,
  queueDeliveriesMax,
  queueLeaseMsMax,
  queueLeaseMsMin,
  queueReasonCharactersMax,
  queueTakeMax,
  queueWaitMsMax,
} from '../limits.ts'
import { messageSchema } from './inbox.ts'
import { closed, memberIdSchema, timeSchema, ulidSchema } from './schemas.ts'

const queueNameSchema = Type.String({ minLength: 1, maxLength: 70, description: 'its name, with or without `queue:`' })
const leaseMsSchema = Type.Integer({ minimum: queueLeaseMsMin, maximum: queueLeaseMsMax })
const countSchema = Type.Integer({ minimum: 0 })
const nextSchema = Type.Union([Type.String(), Type.Null()])

/** `waiting`, `leased` and `dead` are counted up to 10 001. `consuming`: this member is one of the consumers. */
export const queueSchema = Type.Object({
  name: Type.String(),
  consumers: countSchema,
  consuming: Type.Boolean(),
  max_deliveries: Type.Integer(),
  waiting: countSchema,
  leased: countSchema,
  dead: countSchema,
  created_at: timeSchema,
})
export const queueListQuerySchema = Type.Object(
  {
    after: Type.Optional(queueNameSchema),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
  },
  closed,
)
export const queueListSchema = Type.Object({ queues: Type.Array(queueSchema), next: nextSchema })

export const queueConsumeRequestSchema = Type.Object(
  {
    queue: queueNameSchema,
    max_deliveries: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: queueDeliveriesMax,
        description: 'how often a message is given out before it is dead; of the queue, for all its consumers',
      }),
    ),
  },
  closed,
)
export const queueLeaveRequestSchema = Type.Object({ queue: queueNameSchema }, closed)

const {
  id,
  client_message_id,
  history_id,
  sender,
  sender_name,
  reply_to_id,
  priority,
  message,
  meta,
  content_type,
  mentions,
  traceparent,
  tracestate,
  accepted_at,
} = messageSchema.properties
const carried = {
  id,
  client_message_id,
  history_id,
  queue: Type.String(),
  sender,
  sender_name,
  reply_to_id,
  priority,
  meta,
  content_type,
  mentions,
  traceparent,
  tracestate,
  accepted_at,
  deliveries: Type.Integer({ minimum: 1, description: 'how often it was taken, this time included' }),
}

export const queueTakeRequestSchema = Type.Object(
  {
    queue: queueNameSchema,
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: queueTakeMax, default: 1 })),
    lease_ms: Type.Optional(leaseMsSchema),
    wait_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: queueWaitMsMax, default: 0 })),
  },
  closed,
)
/** A message that this member has leased. `lease_until` is by the broker's clock. */
const workMessageSchema = Type.Object({
  ...carried,
  message: Type.String(),
  lease_id: ulidSchema,
  lease_until: timeSchema,
})
/** A message that could not be opened is not among them: it went back, and `undecryptable` counts it. */
export const queueTakeResponseSchema = Type.Object({
  messages: Type.Array(workMessageSchema),
  undecryptable: countSchema,
})

const leased = { id: ulidSchema, lease_id: ulidSchema }
function settleSchema<Item extends TSchema>(item: Item) {
  return Type.Object({ items: Type.Array(item, { minItems: 1, maxItems: itemsPerFrameMax }) }, closed)
}
export const queueAckRequestSchema = settleSchema(Type.Object(leased, closed))
export const queueNackRequestSchema = settleSchema(
  Type.Object(
    {
      ...leased,
      delay_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: queueDelayMsMax })),
      reason: Type.Optional(Type.String({ minLength: 1, maxLength: queueReasonCharactersMax })),
    },
    closed,
  ),
)
export const queueExtendRequestSchema = settleSchema(Type.Object({ ...leased, lease_ms: leaseMsSchema }, closed))
/**
 * `done`, `returned`, `extended`: as asked. `dead`: it was given up, after its last delivery. `lease_lost`: what this
 * member did with it does not count. `unknown`: no such message is kept.
 */
export const queueSettleResponseSchema = Type.Object({
  items: Type.Array(
    Type.Object({
      id: ulidSchema,
      outcome: Type.Union([
        Type.Literal('done'),
        Type.Literal('returned'),
        Type.Literal('dead'),
        Type.Literal('extended'),
        Type.Literal('lease_lost'),
        Type.Literal('unknown'),
      ]),
      lease_until: Type.Optional(timeSchema),
    }),
  ),
})

export const queueDeadQuerySchema = Type.Object(
  {
    queue: queueNameSchema,
    after: Type.Optional(Type.String({ pattern: '^[0-9]{1,19}$', description: '`next` of the page before' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: queueTakeMax })),
  },
  closed,
)
/** A message that was given up. `consumer` had it last, `reason` is what it said, or `lease_over`. */
const deadMessageSchema = Type.Object({
  ...carried,
  message,
  opened: messageSchema.properties.opened,
  unopened_reason: messageSchema.properties.unopened_reason,
  consumer: memberIdSchema,
  consumer_name: Type.Union([Type.String(), Type.Null()]),
  died_at: timeSchema,
  reason: Type.String(),
})
export const queueDeadResponseSchema = Type.Object({ messages: Type.Array(deadMessageSchema), next: nextSchema })

export const queueDeadSelectionSchema = Type.Object(
  { queue: queueNameSchema, ids: Type.Array(ulidSchema, { minItems: 1, maxItems: itemsPerFrameMax }) },
  closed,
)
/** How many of the selected messages were dead. */
export const queueRequeueResponseSchema = Type.Object({ requeued: countSchema })
export const queueDropResponseSchema = Type.Object({ dropped: countSchema })

export type Queue = Static<typeof queueSchema>
export type QueueListQuery = Static<typeof queueListQuerySchema>
export type QueueList = Static<typeof queueListSchema>
export type QueueConsumeRequest = Static<typeof queueConsumeRequestSchema>
export type QueueTakeRequest = Static<typeof queueTakeRequestSchema>
export type QueueTakeResponse = Static<typeof queueTakeResponseSchema>
export type WorkMessage = Static<typeof workMessageSchema>
export type QueueAckRequest = Static<typeof queueAckRequestSchema>
export type QueueNackRequest = Static<typeof queueNackRequestSchema>
export type QueueExtendRequest = Static<typeof queueExtendRequestSchema>
export type QueueSettleResponse = Static<typeof queueSettleResponseSchema>
export type QueueDeadQuery = Static<typeof queueDeadQuerySchema>
export type DeadMessage = Static<typeof deadMessageSchema>
export type QueueDeadResponse = Static<typeof queueDeadResponseSchema>
export type QueueDeadSelection = Static<typeof queueDeadSelectionSchema>
export type QueueRequeueResponse = Static<typeof queueRequeueResponseSchema>
export type QueueDropResponse = Static<typeof queueDropResponseSchema>
