/**
 * The correlated calls of work queues. Work is pulled: a consumer takes messages under a lease, and settles each.
 *
 * 1. A message is leased to one consumer at a time. An `ack` under the lease is the only thing that ends its life.
 * 2. A consumer is given only what was sealed while it was one: it can open nothing else.
 */
import { type Static, type TSchema, Type } from 'typebox'
import { topicNamePattern } from '../destination.ts'
import { historyItemSchema } from '../frames.ts'
import { memberIdPattern, ulidPattern } from '../ids.ts'
import {
  itemsPerFrameMax,
  queueDelayMsMax,
  queueDeliveriesMax,
  queueLeaseMsMax,
  queueLeaseMsMin,
  queueReasonCharactersMax,
  queueTakeMax,
  queueWaitMsMax,
  recipientsMax,
  timeMax,
} from '../limits.ts'

const closed = { additionalProperties: false }
/** Queues are named as topics are. */
const queueName = Type.String({ pattern: topicNamePattern })
const ulid = Type.String({ pattern: ulidPattern })
const time = Type.Integer({ minimum: 0, maximum: timeMax })
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const leaseMs = Type.Integer({ minimum: queueLeaseMsMin, maximum: queueLeaseMsMax })
const deliveriesMax = Type.Integer({ minimum: 1, maximum: queueDeliveriesMax })
const next = Type.Union([Type.String(), Type.Null()])

/**
 * A queue as the asking member sees it. `waiting`: to be taken now or after a delay; `leased`: a consumer works on it;
 * `dead`: given up after `max_deliveries` deliveries. Each is counted up to 10 001.
 */
const queueRecordSchema = Type.Object({
  name: queueName,
  consumers: count,
  consuming: Type.Boolean(),
  max_deliveries: deliveriesMax,
  waiting: count,
  leased: count,
  dead: count,
  created_at: time,
})

/** A message that the asking member has leased. `deliveries` counts how often it was taken, this time included. */
const queueItemSchema = Type.Object({
  ...historyItemSchema.properties,
  lease_id: ulid,
  lease_until: time,
  deliveries: Type.Integer({ minimum: 1, maximum: queueDeliveriesMax }),
})

/** A message that is dead. `consumer` is who had it last. Sealed as it was sent. */
const deadItemSchema = Type.Object({
  ...historyItemSchema.properties,
  deliveries: Type.Integer({ minimum: 1, maximum: queueDeliveriesMax }),
  consumer: Type.String({ pattern: memberIdPattern }),
  died_at: time,
  /** What the last consumer said, or `lease_over`. */
  reason: Type.String(),
})

const settled = { broker_message_id: ulid, lease_id: ulid }
/** What a consumer says about a message that it has leased. */
const settlementSchema = Type.Union([
  /** It is done. */
  Type.Object({ ...settled, action: Type.Literal('ack') }, closed),
  /** It goes back, to be taken after a delay by whoever asks; dead if that was its last delivery. */
  Type.Object(
    {
      ...settled,
      action: Type.Literal('nack'),
      delay_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: queueDelayMsMax })),
      reason: Type.Optional(Type.String({ minLength: 1, maxLength: queueReasonCharactersMax })),
    },
    closed,
  ),
  /** The consumer still works on it: the lease ends so long from now. */
  Type.Object({ ...settled, action: Type.Literal('extend'), lease_ms: leaseMs }, closed),
])

/**
 * `done`, `returned`, `extended`: as asked, now or by an earlier call with that lease. `dead`: it was given up.
 * `lease_lost`: somebody else has had it since, or it was returned. `unknown`: no such message is kept.
 */
const settlementOutcomeSchema = Type.Object({
  broker_message_id: ulid,
  outcome: Type.Union([
    Type.Literal('done'),
    Type.Literal('returned'),
    Type.Literal('dead'),
    Type.Literal('extended'),
    Type.Literal('lease_lost'),
    Type.Literal('unknown'),
  ]),
  /** With `extended`. */
  lease_until: Type.Optional(time),
})

const deadMessages = Type.Object(
  { queue: queueName, broker_message_ids: Type.Array(ulid, { minItems: 1, maxItems: itemsPerFrameMax }) },
  closed,
)

export const queueOperations = {
  /** Queues in order of their names; `next` continues, null ends. */
  'queues.list': {
    params: Type.Object({ after: Type.Optional(queueName), limit: Type.Integer({ minimum: 1, maximum: 256 }) }, closed),
    result: Type.Object({ queues: Type.Array(queueRecordSchema), next }),
  },
  /**
   * Makes the asking member a consumer, and the queue when there is none of that name. Repeating it changes nothing but
   * `max_deliveries`, where it is given.
   */
  'queues.consume': {
    params: Type.Object({ queue: queueName, max_deliveries: Type.Optional(deliveriesMax) }, closed),
    result: Type.Object({ queue: queueRecordSchema }),
  },
  /** What the asking member has leased goes back at once. */
  'queues.leave': {
    params: Type.Object({ queue: queueName }, closed),
    result: Type.Object({ queue: queueRecordSchema }),
  },
  /**
   * For whom a message to the queue is sealed: its consumers, the asking member too if it is one, as of an epoch. As
   * long as there is none the queue takes no message, and answers `recipients_stale`.
   */
  'queues.recipients': {
    params: Type.Object({ queue: queueName }, closed),
    result: Type.Object({
      recipients_epoch: count,
      members: Type.Array(Type.String({ pattern: memberIdPattern }), { maxItems: recipientsMax }),
    }),
  },
  /**
   * Leases the next messages to the asking member: priority `now`, then `next`, then `low`, each in order of
   * acceptance. Where there is none the answer waits for one, `wait_ms` at most. It may carry fewer than there are.
   */
  'queues.take': {
    params: Type.Object(
      {
        queue: queueName,
        limit: Type.Integer({ minimum: 1, maximum: queueTakeMax }),
        lease_ms: leaseMs,
        wait_ms: Type.Integer({ minimum: 0, maximum: queueWaitMsMax }),
      },
      closed,
    ),
    result: Type.Object({ items: Type.Array(queueItemSchema, { maxItems: queueTakeMax }) }),
  },
  /** Undoes a take whose answer reaches nobody: what is still leased by it was not taken, and no delivery is counted. */
  'queues.untake': {
    params: Type.Object({ queue: queueName, lease_id: ulid }, closed),
    result: Type.Object({}),
  },
  /** One outcome per item, in the order of the items. Repeating it after a lost answer is answered as the first was. */
  'queues.settle': {
    params: Type.Object({ items: Type.Array(settlementSchema, { minItems: 1, maxItems: itemsPerFrameMax }) }, closed),
    result: Type.Object({ items: Type.Array(settlementOutcomeSchema) }),
  },
  /** Dead messages that the asking consumer can open, oldest first. */
  'queues.dead': {
    params: Type.Object(
      {
        queue: queueName,
        after: Type.Optional(Type.String({ pattern: '^[0-9]{1,19}$' })),
        limit: Type.Integer({ minimum: 1, maximum: queueTakeMax }),
      },
      closed,
    ),
    result: Type.Object({ items: Type.Array(deadItemSchema), next }),
  },
  /** Dead messages wait again, as if they had never been taken. @returns how many of them were dead */
  'queues.requeue': {
    params: deadMessages,
    result: Type.Object({ requeued: count }),
  },
  /** Dead messages are gone for good. @returns how many of them were dead */
  'queues.drop': {
    params: deadMessages,
    result: Type.Object({ dropped: count }),
  },
} as const satisfies Record<string, { params: TSchema; result: TSchema }>

export type QueueRecord = Static<typeof queueRecordSchema>
export type QueueItem = Static<typeof queueItemSchema>
export type DeadItem = Static<typeof deadItemSchema>
export type Settlement = Static<typeof settlementSchema>
export type SettlementOutcome = Static<typeof settlementOutcomeSchema>
