/** `/v1/spaces/:space/export`, `/import`: a log as lines of JSON, however many, read and taken as they come. */
import { importedSchema, spaceParamsSchema } from '@claudemesh/protocol/spaces'
import { orNothing } from '../../../spaces/reading.ts'
import type { App } from '../../app.ts'
import { begin } from '../../byte-answer.ts'
import { endRefusedBody, rawBody, takeRawBodies } from '../../raw-body.ts'
import type { SpaceRouteOptions } from './route-options.ts'

const tags = ['spaces']
const linesMediaType = 'application/x-ndjson'
const lines = {
  description: 'One decision a line, as it is in the log',
  content: { [linesMediaType]: { schema: { type: 'string' } } },
}

export async function transferRoutes(app: App, o: SpaceRouteOptions): Promise<void> {
  exportRoute(app, o)
  // In a scope of its own: bodies are bytes here and nowhere else.
  await app.register(async (scope) => {
    takeRawBodies(scope as App)
    importRoute(scope as App, o)
  })
}

function exportRoute(app: App, { spaces }: SpaceRouteOptions): void {
  app.get(
    '/v1/spaces/:space/export',
    {
      schema: { tags, summary: 'The whole log as lines of JSON', params: spaceParamsSchema, response: { 200: lines } },
    },
    async ({ params }, reply) => {
      const body = await spaces.within(params.space, (space) => begin(orNothing(space.export())))
      return reply.type(linesMediaType).send(body)
    },
  )
}

function importRoute(app: App, { spaces }: SpaceRouteOptions): void {
  app.post(
    '/v1/spaces/:space/import',
    {
      schema: {
        tags,
        summary: 'Take an export over as it is: all of it or nothing',
        description:
          'Into a space that is not there, that holds nothing, or that it continues; lines that are there already are passed over.',
        consumes: [linesMediaType],
        params: spaceParamsSchema,
        response: { 200: importedSchema },
      },
    },
    async (request, reply) => {
      endRefusedBody(request, reply)
      return { ...(await spaces.import(request.params.space, rawBody(request, reply))) }
    },
  )
}
