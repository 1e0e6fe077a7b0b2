/** `GET /v1/artifacts/events`: the log of events, followed or by pages. */
import type { Event } from '@claudemesh/artifacts'
import { eventsHeadersSchema } from '@claudemesh/protocol'
import { artifactEventListSchema, artifactEventsQuerySchema } from '@claudemesh/protocol/artifacts'
import type { FastifyRequest } from 'fastify'
import { eventWriter } from '../../../artifacts/event-texts.ts'
import { artifactEventsPageDefault } from '../../../limits.ts'
import type { App } from '../../app.ts'
import { cursorOf, type NumberedEvent, serveNumbered } from '../../numbered-stream.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const answers = {
  description: 'Events after `since`: without end as server-sent events, else at most `limit` of them',
  content: {
    'text/event-stream': { schema: { type: 'string' } },
    'application/json': { schema: artifactEventListSchema },
    'application/cbor-seq': { schema: { type: 'string' } },
  },
}

export function artifactEventRoutes(app: App, { store, stopping }: ArtifactRouteOptions): void {
  app.get(
    '/v1/artifacts/events',
    {
      exposeHeadRoute: false,
      config: { stream: true },
      schema: {
        tags: ['artifacts'],
        summary: 'What was done with artifacts: the log, every event once and in order',
        description:
          'Server-sent events unless `Accept` names application/json or application/cbor-seq, or `limit` asks for a page.',
        headers: eventsHeadersSchema,
        querystring: artifactEventsQuerySchema,
        response: { 200: answers },
      },
    },
    async (request, reply) => {
      const { limit } = request.query
      const form = formOf(request, limit !== undefined)
      const since = cursorOf(request, request.query.since)
      if (form === 'stream') {
        return serveNumbered(reply, { since, stopping, follow: (signal) => followLog(store, since, signal) })
      }
      const page = { since, limit: limit ?? artifactEventsPageDefault }
      const events: readonly Event[] = await store.use((registry) => registry.auditLog(page))
      const writer = await eventWriter()
      if (form === 'cbor') {
        return reply.type('application/cbor-seq').send(Buffer.concat(events.map((event) => writer.toCbor(event))))
      }
      const text = `{"events":[${events.map((event) => writer.toJson(event)).join(',')}]}`
      return reply
        .type('application/json; charset=utf-8')
        .serializer((body: unknown) => body as string)
        .send(text)
    },
  )
}

function formOf({ headers }: FastifyRequest, isPage: boolean): 'stream' | 'json' | 'cbor' {
  const accepted = (headers.accept ?? '').toLowerCase()
  if (accepted.includes('application/cbor-seq')) return 'cbor'
  if (accepted.includes('text/event-stream')) return 'stream'
  return isPage || accepted.includes('application/json') ? 'json' : 'stream'
}

async function followLog(store: ArtifactRouteOptions['store'], since: number, signal: AbortSignal) {
  const { toJson } = await eventWriter()
  const events = await store.use(async (registry) => registry.tailEvents(since, { signal }))
  return numbered(events, toJson)
}

async function* numbered(
  events: AsyncIterable<Event>,
  toJson: (event: Event) => string,
): AsyncGenerator<NumberedEvent> {
  for await (const event of events) yield { id: event.sequence, type: event.event_type, data: toJson(event) }
}
