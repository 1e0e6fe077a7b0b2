/** The rows of the daemon's own record of everything sent and received (08 §1). */
import { type Static, Type } from 'typebox'
import { metaSchema, timeSchema } from './schemas.ts'

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

export type HistoryDirection = Static<typeof historyDirectionSchema>
export type HistoryRow = Static<typeof historyRowSchema>
