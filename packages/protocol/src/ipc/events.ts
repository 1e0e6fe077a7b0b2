/** `GET /v1/events`: server-sent events with durable, monotonic ids. */
import { type Static, Type } from 'typebox'
import { closed } from './schemas.ts'

export const eventTypes = [
  'message',
  'outbox_settled',
  'receipt',
  'peer_join',
  'peer_leave',
  'daemon_connect',
  'daemon_disconnect',
  'daemon_reconnect',
  'outbox_pressure_high',
  'outbox_pressure_normal',
  'inbox_rebuilt',
  'file_shared',
  'decision',
  'history_cap_passed',
  'sink_failed',
  'sink_recovered',
  'sink_stopped',
  'sink_rows_lost',
  'daemon_start',
  'hook_executed',
] as const
/** What happened; `resync` beside these says that events were missed and state must be read anew. */
export type EventType = (typeof eventTypes)[number]

/** An id as the daemon gives it out; more digits than these never come. */
export const eventIdPattern = '^[0-9]{1,15}$'

export const eventsHeadersSchema = Type.Object({
  'Last-Event-ID': Type.Optional(
    Type.String({ description: 'the id of the last event that was seen; the stream goes on behind it' }),
  ),
})

export const eventsQuerySchema = Type.Object(
  {
    since: Type.Optional(
      Type.String({ pattern: eventIdPattern, description: 'as Last-Event-ID, for clients that cannot set it' }),
    ),
    types: Type.Optional(Type.String({ maxLength: 512, description: 'comma-separated event types; default all' })),
  },
  closed,
)
export type EventsQuery = Static<typeof eventsQuerySchema>

/** One event as a client hands it out. `data` is the JSON of the event. */
export interface MeshEvent {
  readonly id: string
  readonly type: EventType | 'resync'
  readonly data: Readonly<Record<string, unknown>>
}
