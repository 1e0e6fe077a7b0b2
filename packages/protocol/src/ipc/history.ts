/** `/v1/history/*`: the daemon's own record of everything sent and received (08 §1). */
import { type Static, Type } from 'typebox'
import { clientMessageIdPattern, ulidPattern } from '../ids.ts'
import { closed, metaSchema, pageLimitSchema, timeSchema } from './schemas.ts'

/** Bounds of what names a partition; `source` is `mesh=<slug>` for everything of a mesh. */
export const partitionPattern = '^[a-z0-9-]{1,32}/[a-z]{1,16}=[a-z0-9-]{1,32}$'

const textOrNull = Type.Union([Type.String(), Type.Null()])

/** What a row tells of. The state of a `receipt` says what is proven since, that of an `event` is its type. */
export const historyDirectionSchema = Type.Union([
  Type.Literal('sent'),
  Type.Literal('received'),
  Type.Literal('receipt'),
  Type.Literal('event'),
])

export const historyRowSchema = Type.Object({
  seq: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
    description: 'grows from row to row and is never given twice; null: the row is older than this counter',
  }),
  partition: Type.String({ pattern: partitionPattern, description: 'dataset and source, such as messages/mesh=home' }),
  direction: historyDirectionSchema,
  mesh: Type.String({ description: 'slug of the mesh' }),
  at: timeSchema,
  sender: Type.Union([Type.String(), Type.Null()], { description: 'member id' }),
  destination: Type.Union([Type.String(), Type.Null()], { description: 'a member id, #topic or queue:name' }),
  client_message_id: textOrNull,
  broker_message_id: textOrNull,
  history_id: Type.Union([Type.String(), Type.Null()], { description: 'place in the history of the broker' }),
  body: textOrNull,
  meta: Type.Union([metaSchema, Type.Null()]),
  state: Type.String(),
  row_id: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of what the row says, in hex' }),
})

/** A place in a partition: a seq, or below 0 that of a row without one. */
const placeSchema = Type.String({ pattern: '^-?[0-9]{1,16}$', description: '`next` of the page before' })

export const historyQuerySchema = Type.Object(
  {
    dataset: Type.Optional(Type.Union([Type.Literal('messages'), Type.Literal('events')], { default: 'messages' })),
    direction: Type.Optional(historyDirectionSchema),
    from: Type.Optional(Type.String({ minLength: 1, maxLength: 65, description: 'who sent it: a member name or id' })),
    to: Type.Optional(
      Type.String({ minLength: 1, maxLength: 71, description: 'as in a send: @name, #topic, queue:name' }),
    ),
    state: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    client_message_id: Type.Optional(Type.String({ pattern: clientMessageIdPattern })),
    broker_message_id: Type.Optional(Type.String({ pattern: ulidPattern })),
    since: Type.Optional(timeSchema),
    until: Type.Optional(timeSchema),
    order: Type.Optional(Type.Union([Type.Literal('newest'), Type.Literal('oldest')])),
    after: Type.Optional(placeSchema),
    limit: Type.Optional(pageLimitSchema),
  },
  closed,
)
/** `next`: where the next page begins; null when everything was looked at. A page can be short although there is one. */
export const historyPageSchema = Type.Object({
  rows: Type.Array(historyRowSchema),
  next: Type.Union([placeSchema, Type.Null()]),
})

const count = Type.Integer({ minimum: 0 })
const limitOrNull = Type.Union([count, Type.Null()])

export const historyStatsSchema = Type.Object({
  partitions: Type.Array(
    Type.Object({
      partition: Type.String({ pattern: partitionPattern }),
      rows: count,
      /** Bytes of the file, and how many of them hold rows. */
      file_bytes: count,
      used_bytes: count,
      oldest_at: Type.Union([timeSchema, Type.Null()]),
      newest_seq: count,
      /** Rows deleted so far, and those that a sink still asks for. */
      pruned_rows: count,
      lost_rows: count,
      /** Rows that some sink has not exported; 0 when there is none. */
      waiting_rows: count,
      sinks: Type.Array(Type.Object({ name: Type.String(), acknowledged_seq: count })),
      retention: Type.Object({
        age_ms_max: limitOrNull,
        bytes_max: limitOrNull,
        wait_for_sink_ack: Type.Boolean(),
        cap_age_ms: limitOrNull,
        cap_bytes: limitOrNull,
      }),
      /** When the oldest row goes by its age; null: there is none, or none goes by its age. */
      oldest_goes_at: Type.Union([Type.Integer(), Type.Null()]),
    }),
  ),
  /** Where seqs were passed over, and why. */
  jumps: Type.Array(Type.Object({ at: Type.Integer(), from: count, to: count, reason: Type.String() })),
})

export const historyPruneSchema = Type.Object({
  partitions: Type.Array(
    Type.Object({
      partition: Type.String(),
      rows: count,
      lost: Type.Integer({ description: 'rows no sink will get' }),
    }),
  ),
})

export const historyCompactRequestSchema = Type.Object(
  { partition: Type.Optional(Type.String({ pattern: partitionPattern, description: 'absent: all of them' })) },
  closed,
)
export const historyCompactSchema = Type.Object({
  partitions: Type.Array(
    Type.Object({
      partition: Type.String(),
      generation: Type.String({ description: 'the file that is in force now' }),
      rows: count,
      bytes_before: count,
      bytes_after: count,
    }),
  ),
})

export type HistoryQueryParameters = Static<typeof historyQuerySchema>
export type HistoryPage = Static<typeof historyPageSchema>
export type HistoryStats = Static<typeof historyStatsSchema>
export type HistoryPruneResponse = Static<typeof historyPruneSchema>
export type HistoryCompactRequest = Static<typeof historyCompactRequestSchema>
export type HistoryCompactResponse = Static<typeof historyCompactSchema>
export type HistoryDirection = Static<typeof historyDirectionSchema>
export type HistoryRow = Static<typeof historyRowSchema>
