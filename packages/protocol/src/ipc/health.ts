/** `GET /v1/health`, `/v1/version`, `/v1/compat`, `POST /v1/heartbeat`. */
import { type Static, Type } from 'typebox'
import { closed, memberIdSchema, timeSchema } from './schemas.ts'

const nullableTime = Type.Union([timeSchema, Type.Null()])

/** A registered condition: what is wrong, and the command that mends it. */
export const conditionSchema = Type.Object({
  code: Type.String(),
  severity: Type.Union([Type.Literal('info'), Type.Literal('warning'), Type.Literal('error')]),
  text: Type.String(),
  remedy: Type.String(),
})

export const healthSchema = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('degraded')]),
  conditions: Type.Array(conditionSchema),
  mesh: Type.String(),
  mesh_id: Type.String(),
  member_id: memberIdSchema,
  name: Type.String(),
  pid: Type.Integer(),
  started_at: timeSchema,
  socket: Type.String(),
  http_port: Type.Union([Type.Integer(), Type.Null()]),
  link: Type.Object({
    state: Type.String(),
    connected: Type.Boolean(),
    broker_url: Type.String(),
    connected_since: nullableTime,
    round_trip_ms: Type.Union([Type.Number(), Type.Null()]),
    last_error: Type.Union([Type.String(), Type.Null()]),
    broker_version: Type.Union([Type.String(), Type.Null()]),
  }),
  /** How long the oldest pending row has waited, in milliseconds; 0 when none waits. */
  lag_ms: Type.Integer(),
  outbox: Type.Object({
    pending: Type.Integer(),
    inflight: Type.Integer(),
    done: Type.Integer(),
    dead: Type.Integer(),
    aborted: Type.Integer(),
    oldest_pending_age_ms: Type.Union([Type.Integer(), Type.Null()]),
    max_age_hours: Type.Number(),
  }),
  inbox: Type.Object({ messages: Type.Integer(), unread: Type.Integer() }),
  disk: Type.Object({
    used_bytes: Type.Integer(),
    budget_bytes: Type.Union([Type.Integer(), Type.Null()]),
    available_bytes: Type.Integer(),
    pressure: Type.Union([Type.Literal('ok'), Type.Literal('high'), Type.Literal('full')]),
  }),
  /** `idle`: nobody has needed the store of artifacts since the start. */
  artifacts: Type.Object({
    status: Type.Union([Type.Literal('idle'), Type.Literal('ok'), Type.Literal('degraded'), Type.Literal('down')]),
  }),
  /** `idle`: nobody has needed the repository of decisions since the start. */
  spaces: Type.Object({
    status: Type.Union([Type.Literal('idle'), Type.Literal('ok'), Type.Literal('down')]),
    leases: Type.Integer({ description: 'spaces that this daemon appends to now' }),
  }),
  versions: Type.Object({
    daemon: Type.String(),
    node: Type.String(),
    sqlite: Type.String(),
    schemas: Type.Record(Type.String(), Type.Integer()),
    features: Type.Record(Type.String(), Type.Unknown()),
  }),
})

export const versionSchema = Type.Object({
  version: Type.String(),
  protocol: Type.String(),
  envelope_version: Type.String(),
  node: Type.String(),
})

/** What a client asks before it relies on a newer daemon's abilities. */
export const compatSchema = Type.Object({
  version: Type.String(),
  api: Type.Array(Type.String()),
  features: Type.Record(Type.String(), Type.Unknown()),
  schemas: Type.Record(Type.String(), Type.Integer()),
})

export const heartbeatRequestSchema = Type.Object({ client: Type.String({ minLength: 1, maxLength: 64 }) }, closed)
export const heartbeatResponseSchema = Type.Object({ now: timeSchema })

export type Condition = Static<typeof conditionSchema>
export type Health = Static<typeof healthSchema>
export type Version = Static<typeof versionSchema>
export type Compat = Static<typeof compatSchema>
export type HeartbeatRequest = Static<typeof heartbeatRequestSchema>
export type HeartbeatResponse = Static<typeof heartbeatResponseSchema>
