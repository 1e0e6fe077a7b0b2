/** `/v1/spaces/:space/lease`: who appends to a space. It is granted by itself; these are for whoever operates it. */
import { acquireRequestSchema, leaseAnswerSchema, spaceParamsSchema } from '@claudemesh/protocol/spaces'
import { toLeaseView } from '../../../spaces/views.ts'
import type { App } from '../../app.ts'
import type { SpaceRouteOptions } from './route-options.ts'

const tags = ['spaces']

export function leaseRoutes(app: App, { spaces, actor }: SpaceRouteOptions): void {
  const path = '/v1/spaces/:space/lease'
  const answer = async (space: string) => ({ space, lease: toLeaseView(await spaces.leaseOf(space)) })
  app.get(
    path,
    {
      schema: {
        tags,
        summary: 'The last lease of a space',
        params: spaceParamsSchema,
        response: { 200: leaseAnswerSchema },
      },
    },
    ({ params }) => answer(params.space),
  )
  app.post(
    `${path}/acquire`,
    {
      schema: {
        tags,
        summary: 'Let this daemon append until it gives the lease up, when nobody else has it or `force` says so',
        params: spaceParamsSchema,
        body: acquireRequestSchema,
        response: { 200: leaseAnswerSchema },
      },
    },
    async ({ params: { space }, body: { force = false } }) => {
      spaces.assertOwn(space)
      await spaces.within(space, (_, log) => (force ? log.seize(space, actor) : log.acquire(space, { keep: true })))
      return answer(space)
    },
  )
  app.post(
    `${path}/release`,
    {
      schema: {
        tags,
        summary: 'Give the lease up; of one that this daemon does not hold, nothing',
        params: spaceParamsSchema,
        response: { 200: leaseAnswerSchema },
      },
    },
    async ({ params: { space } }) => {
      spaces.assertOwn(space)
      await spaces.within(space, (_, log) => log.release(space))
      return answer(space)
    },
  )
}
