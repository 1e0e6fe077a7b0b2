/** `/v1/hooks`: what is configured, what became of it, and trying one. */
import { hookListSchema, hookParamsSchema, hookTestAnswerSchema } from '@claudemesh/protocol/hooks'
import type { Hooks } from '../../hooks/hooks.ts'
import type { RouteFamily } from '../app.ts'

const tags = ['hooks']

export function hookRoutes({ hooks }: { readonly hooks: Hooks }): RouteFamily {
  return (app) => {
    app.get(
      '/v1/hooks',
      {
        schema: {
          tags,
          summary: 'The hooks that are configured, why one does not run, and its last run',
          response: { 200: hookListSchema },
        },
      },
      async () => hooks.list(),
    )
    app.post(
      '/v1/hooks/:name/test',
      {
        schema: {
          tags,
          summary: 'Run a hook for an event that did not happen; what it answers is shown and not sent',
          params: hookParamsSchema,
          response: { 200: hookTestAnswerSchema },
        },
      },
      async ({ params }) => await hooks.test(params.name),
    )
  }
}
