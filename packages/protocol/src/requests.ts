/** The correlated calls of the wire (`request` / `response`): each operation with its parameters and its result. */
import { type Static, type TSchema, Type } from 'typebox'
import type { Validator } from 'typebox/compile'
import { certificateSchema, revocationListSchema } from './certificate.ts'
import { compileLater } from './compile-later.ts'
import { topicNamePattern } from './destination.ts'
import { historyItemSchema, memberRecordSchema, topicRecordSchema } from './frames.ts'
import { memberIdPattern, ulidPattern } from './ids.ts'
import { chainLengthMax, itemsPerFrameMax, recipientsMax, timeMax } from './limits.ts'
import { blobOperations } from './requests/blobs.ts'
import { queueOperations } from './requests/queues.ts'
import { spaceOperations } from './requests/spaces.ts'

const closed = { additionalProperties: false }
const topicName = Type.String({ pattern: topicNamePattern })
const issuerChain = Type.Array(certificateSchema, { maxItems: chainLengthMax })
const pageLimit = Type.Integer({ minimum: 1, maximum: 256 })

/** Every operation with the forms of its parameters and of its result. */
export const operations = {
  /** Members in order of their ids; `next` continues, null ends. */
  'members.list': {
    params: Type.Object({ after: Type.Optional(Type.String({ pattern: memberIdPattern })), limit: pageLimit }, closed),
    result: Type.Object({
      members: Type.Array(memberRecordSchema),
      next: Type.Union([Type.String(), Type.Null()]),
    }),
  },
  'topics.list': {
    params: Type.Object({ after: Type.Optional(topicName), limit: pageLimit }, closed),
    result: Type.Object({
      topics: Type.Array(topicRecordSchema),
      next: Type.Union([Type.String(), Type.Null()]),
    }),
  },
  /** Creates the topic when there is none of that name. Repeating it changes nothing. */
  'topics.subscribe': {
    params: Type.Object({ topic: topicName }, closed),
    result: Type.Object({ topic: topicRecordSchema }),
  },
  'topics.unsubscribe': {
    params: Type.Object({ topic: topicName }, closed),
    result: Type.Object({ topic: topicRecordSchema }),
  },
  /** For whom a message to the topic is sealed: its subscribers without the asking member, as of an epoch. */
  'topics.recipients': {
    params: Type.Object({ topic: topicName }, closed),
    result: Type.Object({
      recipients_epoch: Type.Integer({ minimum: 0, maximum: timeMax }),
      members: Type.Array(Type.String({ pattern: memberIdPattern }), { maxItems: recipientsMax }),
    }),
  },
  /**
   * The asking member leaves the mesh: what an ephemeral member does when it stops. Its subscriptions end, what waits
   * for it is dropped, and the broker closes its connections. It joins again by saying hello.
   */
  'members.leave': {
    params: Type.Object({}, closed),
    result: Type.Object({}),
  },
  /** The revocation list in force and the chain of who signed it, empty for the root key. List null: there is none. */
  'revocations.get': {
    params: Type.Object({}, closed),
    result: Type.Object({ list: Type.Union([revocationListSchema, Type.Null()]), chain: issuerChain }),
  },
  /** Puts a list in force that follows the present one; answered `revocation_list_stale` when another one did first. */
  'revocations.put': {
    params: Type.Object({ list: revocationListSchema, chain: issuerChain }, closed),
    result: Type.Object({ number: Type.Integer({ minimum: 1, maximum: timeMax }) }),
  },
  'profile.set': {
    params: Type.Object(
      {
        summary: Type.Union([Type.String({ maxLength: 512 }), Type.Null()]),
        activity: Type.Union([Type.String({ maxLength: 128 }), Type.Null()]),
        visible: Type.Boolean(),
      },
      closed,
    ),
    result: Type.Object({}),
  },
  /**
   * What the asking member's reader has marked read, and when. Answered once it is kept; what needs no receipt, or was
   * reported before, is passed over. A broker that does not know the call answers `not_found`.
   */
  'receipts.read': {
    params: Type.Object(
      {
        items: Type.Array(
          Type.Object(
            {
              broker_message_id: Type.String({ pattern: ulidPattern }),
              at: Type.Integer({ minimum: 0, maximum: timeMax }),
            },
            closed,
          ),
          { minItems: 1, maxItems: itemsPerFrameMax },
        ),
      },
      closed,
    ),
    result: Type.Object({}),
  },
  /** Messages addressed to the asking member, oldest first, whether delivered before or not. */
  'history.page': {
    params: Type.Object(
      {
        after: Type.Optional(Type.String({ pattern: '^[0-9]{1,19}$' })),
        since: Type.Integer({ minimum: 0 }),
        limit: pageLimit,
      },
      closed,
    ),
    result: Type.Object({
      messages: Type.Array(historyItemSchema),
      next: Type.Union([Type.String(), Type.Null()]),
    }),
  },
  ...queueOperations,
  ...blobOperations,
  ...spaceOperations,
} as const satisfies Record<string, { params: TSchema; result: TSchema }>

export type Operation = keyof typeof operations
export type RequestParams<O extends Operation> = Static<(typeof operations)[O]['params']>
export type RequestResult<O extends Operation> = Static<(typeof operations)[O]['result']>

const validators = new Map<string, { params: () => Validator; result: () => Validator }>(
  Object.entries(operations).map(([op, schema]) => [
    op,
    { params: compileLater(schema.params as TSchema), result: compileLater(schema.result as TSchema) },
  ]),
)

export function isOperation(op: string): op is Operation {
  return validators.has(op)
}

/** @returns a sentence that names the fault in the parameters, or null when they fit */
export function findParamsFault(op: Operation, params: unknown): string | null {
  return findFault(validators.get(op)?.params(), params)
}

/** @returns a sentence that names the fault in the result, or null when it fits */
export function findResultFault(op: Operation, result: unknown): string | null {
  return findFault(validators.get(op)?.result(), result)
}

function findFault(validator: Validator | undefined, value: unknown): string | null {
  if (validator === undefined) return 'unknown operation'
  if (validator.Check(value)) return null
  const [fault] = validator.Errors(value)
  return `${fault?.instancePath ?? ''}: ${fault?.message ?? 'does not fit'}`.slice(0, 512)
}
