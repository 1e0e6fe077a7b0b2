/** `/v1/spaces`, `/v1/decisions`: logs of decisions (07 §7). Every rule is the library's own; this only translates. */
import {
  newSpaceSchema,
  spaceListQuerySchema,
  spaceListSchema,
  spaceParamsSchema,
  spaceViewSchema,
} from '@claudemesh/protocol/spaces'
import { toSpaceView } from '../../../spaces/views.ts'
import type { App, RouteFamily } from '../../app.ts'
import { eventRoutes } from './events.ts'
import { leaseRoutes } from './lease.ts'
import { repositoryRoutes } from './repository.ts'
import type { SpaceRouteOptions } from './route-options.ts'
import { stateRoutes } from './state.ts'
import { transferRoutes } from './transfer.ts'

const tags = ['spaces']

export function spaceRoutes(o: SpaceRouteOptions): RouteFamily {
  return async (app) => {
    listRoutes(app, o)
    eventRoutes(app, o)
    stateRoutes(app, o)
    leaseRoutes(app, o)
    await transferRoutes(app, o)
    repositoryRoutes(app, o)
  }
}

function listRoutes(app: App, { spaces, shared }: SpaceRouteOptions): void {
  const view = async (name: string) => toSpaceView(await spaces.statusOf(name), shared.statusOf(name))
  app.get(
    '/v1/spaces',
    {
      schema: {
        tags,
        summary: 'The spaces of this host, by their names, with the end of each log and who appends to it',
        querystring: spaceListQuerySchema,
        response: { 200: spaceListSchema },
      },
    },
    async ({ query }) => {
      const { after = '', limit = 64 } = query
      const names = (await spaces.names()).filter((name) => name > after)
      const page = names.slice(0, limit)
      const listed = []
      for (const name of page) listed.push(await view(name))
      return { spaces: listed, next: names.length > limit ? (page.at(-1) ?? null) : null }
    },
  )
  app.post(
    '/v1/spaces',
    {
      schema: {
        tags,
        summary: 'Make a space, or share it with other members; 200 when it is there already',
        body: newSpaceSchema,
        response: { 200: spaceViewSchema, 201: spaceViewSchema },
      },
    },
    async ({ body }, reply) => {
      const isNew = await spaces.create(body.space)
      if (body.shared === true) await shared.share(body.space)
      return reply
        .code(isNew ? 201 : 200)
        .header('location', `/v1/spaces/${body.space}`)
        .send(await view(body.space))
    },
  )
  app.get(
    '/v1/spaces/:space',
    { schema: { tags, summary: 'One space', params: spaceParamsSchema, response: { 200: spaceViewSchema } } },
    async ({ params }) => view(params.space),
  )
  app.post(
    '/v1/spaces/:space/accept-history',
    {
      schema: {
        tags,
        summary: 'Take the log as it is now, wherever its branch was moved',
        description:
          'What an operator decides after `history_rewritten`. A space that is shared is compared with the others again.',
        params: spaceParamsSchema,
        response: { 200: spaceViewSchema },
      },
    },
    async ({ params }) => {
      await spaces.acceptHistory(params.space)
      shared.follow(params.space)
      return view(params.space)
    },
  )
}
