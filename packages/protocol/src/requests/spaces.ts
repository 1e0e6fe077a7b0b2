/**
 * The correlated calls of shared spaces (07 §4). The broker says who may append: it grants one member at a time the lease of a
 * space, and takes an append only under the lease that it granted last.
 *
 * 1. `epoch` grows by one with every grant. An append says under which one it was made, and what it follows.
 * 2. What is appended is one message to the topic of the space (`spaceTopic`), stored for its subscribers in the transaction
 *    that moves the head. No other message is ever taken for that topic.
 * 3. The broker sees how many decisions there are and the id of the last one, and nothing of what was decided.
 */
import { type Static, type TSchema, Type } from 'typebox'
import { sharedSpaceNamePattern } from '../destination.ts'
import { clientMessageIdPattern, memberIdPattern, ulidPattern } from '../ids.ts'
import { frameBytesMax, spaceTermMsMax, spaceTermMsMin } from '../limits.ts'

const closed = { additionalProperties: false }
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const space = Type.String({ pattern: sharedSpaceNamePattern })
const epoch = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const termMs = Type.Integer({ minimum: spaceTermMsMin, maximum: spaceTermMsMax })

/** Base64; the rest of the call still fits into the frame. */
const sealedCharactersMax = frameBytesMax - 16 * 1024

/** Where a log ends: the number of its last decision and its event id; 0 and null where there is none. */
const spaceHeadSchema = Type.Object({ seq: count, event_id: nullable(Type.String({ pattern: ulidPattern })) }, closed)

/** The lease of a space as the broker has it. `holder` null: it is free; epoch 0: it was never granted. */
const spaceLeaseSchema = Type.Object({
  holder: nullable(Type.String({ pattern: memberIdPattern })),
  epoch: count,
  /** By the clock of the broker; 0 when the term is over. */
  expires_in_ms: count,
  head: spaceHeadSchema,
})

export const spaceOperations = {
  'spaces.lease': {
    params: Type.Object({ space }, closed),
    result: Type.Object({ lease: spaceLeaseSchema }),
  },
  /**
   * Granted when it is free, past its term, or the caller's own; otherwise the answer says who has it. `head`: of the caller's
   * log; the further one of it and the broker's holds from then on.
   */
  'spaces.acquire': {
    params: Type.Object({ space, head: spaceHeadSchema, term_ms: termMs }, closed),
    result: Type.Object({ granted: Type.Boolean(), lease: spaceLeaseSchema }),
  },
  /** Begins the term anew. Refused as `lease_lost` when another one was granted meanwhile. */
  'spaces.renew': {
    params: Type.Object({ space, epoch, term_ms: termMs }, closed),
    result: Type.Object({ lease: spaceLeaseSchema }),
  },
  /** Gives the lease up. One that is lost already is given up too. */
  'spaces.release': {
    params: Type.Object({ space, epoch }, closed),
    result: Type.Object({}),
  },
  /**
   * Appends: as a message to the topic of the space, under the caller's lease, after the decision with number `after`.
   * `head`: where the log ends with it. A repetition is answered as the first one was; refused as `lease_lost`, and nothing
   * stored, when the lease or the head is another one.
   */
  'spaces.append': {
    params: Type.Object(
      {
        space,
        epoch,
        after: count,
        head: spaceHeadSchema,
        client_message_id: Type.String({ pattern: clientMessageIdPattern }),
        wire_fingerprint: Type.String({ pattern: '^[0-9a-f]{64}$' }),
        recipients_epoch: count,
        sealed: Type.String({ maxLength: sealedCharactersMax }),
      },
      closed,
    ),
    result: Type.Object({ broker_message_id: Type.String({ pattern: ulidPattern }) }),
  },
} as const satisfies Record<string, { params: TSchema; result: TSchema }>

export type SpaceHead = Static<typeof spaceHeadSchema>
export type SpaceLeaseRecord = Static<typeof spaceLeaseSchema>
