/** `GET /v1/artifacts/events`: the log of events, followed or by pages. */
import type { Event } from '@claudemesh/artifacts'
import { eventIdPattern, eventsHeadersSchema, MeshError } from '@claudemesh/protocol'
import { artifactEventListSchema, artifactEventsQuerySchema } from '@claudemesh/protocol/artifacts'
import type { FastifyRequest } from 'fastify'
import { eventWriter } from '../../../artifacts/event-texts.ts'
import { artifactEventsPageDefault } from '../../../limits.ts'
import type { App } from '../../app.ts'
import { serveLog } from '../../artifact-event-stream.ts'
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
      if (form === 'stream') return serveLog(reply, { store, since, stopping })
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

/** A reader that comes back says where it was in the header. @throws MeshError `invalid_cursor` */
function cursorOf({ headers }: FastifyRequest, since: number | undefined): number {
  const last = headers['last-event-id']
  if (last === undefined) return since ?? 0
  const cursor = new RegExp(eventIdPattern).test(String(last)) ? Number(last) : Number.NaN
  if (!Number.isSafeInteger(cursor)) throw new MeshError('invalid_cursor')
  return cursor
}
