/** `GET /v1/events`: server-sent events that resume without a gap. */
import { type EventType, eventsHeadersSchema, eventsQuerySchema, eventTypes, MeshError } from '@claudemesh/protocol'
import type { RouteFamily } from '../app.ts'
import type { EventStreams } from '../sse.ts'

const eventStream = {
  description: 'Events, each with `id`, `event` and `data` (a JSON document on one line), until either side ends it',
  content: { 'text/event-stream': { schema: { type: 'string' } } },
}

export function eventRoutes(o: { streams: EventStreams }): RouteFamily {
  return (app) => {
    app.get(
      '/v1/events',
      {
        exposeHeadRoute: false,
        config: { stream: true },
        schema: {
          tags: ['events'],
          summary: 'What happens, as server-sent events; Last-Event-ID resumes without a gap',
          description: `Event types: ${eventTypes.join(', ')}, and resync when events were missed.`,
          headers: eventsHeadersSchema,
          querystring: eventsQuerySchema,
          response: { 200: eventStream },
        },
      },
      async (request, reply) => {
        const types = request.query.types === undefined ? null : readTypes(request.query.types)
        const header = request.headers['last-event-id']
        const lastEventId = (typeof header === 'string' ? header : undefined) ?? request.query.since ?? null
        o.streams.admit()
        reply.hijack()
        await o.streams.serve(reply.raw, { lastEventId, types })
      },
    )
  }
}

function readTypes(text: string): readonly EventType[] {
  return text.split(',').map((name) => {
    const type = eventTypes.find((known) => known === name.trim())
    if (type !== undefined) return type
    throw new MeshError('invalid_request', {
      detail: `\`types\` in the query string names ${JSON.stringify(name)}; the types are ${eventTypes.join(', ')}`,
      data: { field: 'types' },
    })
  })
}
