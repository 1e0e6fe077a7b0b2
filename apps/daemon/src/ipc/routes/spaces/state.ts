/** `/v1/spaces/:space/state`, `/why`: what holds, what held, and the decisions behind it. */
import {
  reasonsSchema,
  type SpaceReasons,
  spaceParamsSchema,
  spaceStateSchema,
  stateQuerySchema,
  whyQuerySchema,
} from '@claudemesh/protocol/spaces'
import { judge } from '../../../spaces/signatures.ts'
import { answerAsIs } from '../../answer-as-is.ts'
import type { App } from '../../app.ts'
import type { SpaceRouteOptions } from './route-options.ts'

const tags = ['spaces']

export function stateRoutes(app: App, { spaces, keys }: SpaceRouteOptions): void {
  app.get(
    '/v1/spaces/:space/state',
    {
      schema: {
        tags,
        summary: 'What holds now, or with `at` what held after an event',
        params: spaceParamsSchema,
        querystring: stateQuerySchema,
        response: { 200: spaceStateSchema },
      },
    },
    async ({ params, query }, reply) => {
      const { at } = query
      const state = await spaces.within(params.space, (space) => (at === undefined ? space.state() : space.stateAt(at)))
      return answerAsIs(reply, state)
    },
  )
  app.get(
    '/v1/spaces/:space/why',
    {
      schema: {
        tags,
        summary: 'Every decision behind a key, in order, also by a name that stands for it',
        params: spaceParamsSchema,
        querystring: whyQuerySchema,
        response: { 200: reasonsSchema },
      },
    },
    async ({ params, query }, reply) => {
      const reasons = await spaces.within(params.space, (space) => space.why(query.key))
      const recorded = await judge(keys)
      return answerAsIs(reply, { ...reasons, decisions: reasons.decisions.map(recorded) } satisfies SpaceReasons)
    },
  )
}
