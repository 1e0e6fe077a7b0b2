/** `/v1/sinks`: exports of the history, and how far each is (08 §3). */
import { type Static, Type } from 'typebox'
import { historyRowSchema, partitionPattern } from './history.ts'
import { closed, timeSchema } from './schemas.ts'

export const sinkNamePattern = '^[a-z0-9][a-z0-9-]{0,31}$'

const count = Type.Integer({ minimum: 0 })
const timeOrNull = Type.Union([timeSchema, Type.Null()])
const seq = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const nameSchema = Type.String({ pattern: sinkNamePattern, description: 'name of a sink' })

const partitionStatusSchema = Type.Object({
  partition: Type.String({ description: 'dataset and source, such as messages/mesh=home' }),
  acked: Type.Union([count, Type.Null()], { description: 'the destination has rows up to this seq; null: unknown' }),
  newest: Type.Integer({ minimum: 0, description: 'seq of the newest row' }),
  rows_behind: Type.Union([count, Type.Null()], { description: 'rows that wait, at most' }),
  seconds_behind: Type.Union([count, Type.Null()], { description: 'age of the oldest row that waits' }),
  shipping: Type.Boolean({ description: 'some of it is on its way, and may be there already' }),
  rows: Type.Integer({ minimum: 0, description: 'exported so far' }),
  lost: Type.Integer({ minimum: 0, description: 'deleted before they were exported' }),
  failures: Type.Integer({ minimum: 0, description: 'in a row' }),
  retry_at: timeOrNull,
  error: Type.Union([Type.String(), Type.Null()]),
})

export const sinkRunSchema = Type.Object({
  started_at: timeSchema,
  ended_at: timeSchema,
  rows: count,
  lost: count,
  error: Type.Union([Type.String(), Type.Null()], { description: 'the first failure' }),
})

export const sinkSchema = Type.Object({
  name: nameSchema,
  destination: Type.String(),
  schedule: Type.String({ description: 'five fields of cron, in UTC' }),
  phase: Type.Union([
    Type.Literal('waiting'),
    Type.Literal('running'),
    Type.Literal('paused'),
    Type.Literal('stopped'),
  ]),
  stopped: Type.Union([Type.String(), Type.Null()], { description: 'why it is stopped' }),
  last_run: Type.Union([sinkRunSchema, Type.Null()]),
  next_run_at: timeOrNull,
  partitions: Type.Array(partitionStatusSchema),
})

export const sinkListSchema = Type.Object({ sinks: Type.Array(sinkSchema) })
export const sinkParamsSchema = Type.Object({ name: nameSchema }, closed)

export const newSinkSchema = Type.Object(
  {
    name: nameSchema,
    destination: Type.String({
      minLength: 1,
      maxLength: 2048,
      description: 'https://…, file:///directory or s3://bucket/prefix',
    }),
    writer: Type.Optional(Type.Union([Type.Literal('ndjson'), Type.Literal('jsonl'), Type.Literal('parquet')])),
    schedule: Type.Optional(Type.String({ maxLength: 128, description: 'five fields of cron, in UTC' })),
    token_ref: Type.Optional(Type.String({ maxLength: 1024, description: 'env:NAME, or file: and an absolute path' })),
    endpoint_url: Type.Optional(Type.String({ maxLength: 2048, description: 'server of the bucket' })),
  },
  closed,
)

export const sinkResetSchema = Type.Object(
  {
    partition: Type.Optional(Type.String({ pattern: partitionPattern, description: 'all partitions when absent' })),
    to: Type.Optional(seq),
    from_destination: Type.Optional(Type.Literal(true, { description: 'behind what the destination has' })),
  },
  closed,
)

export const sinkResetAnswerSchema = Type.Object({
  partitions: Type.Array(Type.Object({ partition: Type.String(), acked: seq })),
})

export const archiveQuerySchema = Type.Object(
  {
    partition: Type.String({ pattern: partitionPattern }),
    after: Type.Optional(Type.String({ pattern: '^[0-9]{1,16}$', description: '`next` of the page before' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
  },
  closed,
)

export const archivePageSchema = Type.Object({
  rows: Type.Array(historyRowSchema),
  next: Type.Union([Type.String(), Type.Null()]),
})

export type Sink = Static<typeof sinkSchema>
export type SinkList = Static<typeof sinkListSchema>
export type SinkRunView = Static<typeof sinkRunSchema>
export type NewSink = Static<typeof newSinkSchema>
export type SinkResetRequest = Static<typeof sinkResetSchema>
export type SinkResetAnswer = Static<typeof sinkResetAnswerSchema>
export type ArchiveQuery = Static<typeof archiveQuerySchema>
export type ArchivePage = Static<typeof archivePageSchema>
