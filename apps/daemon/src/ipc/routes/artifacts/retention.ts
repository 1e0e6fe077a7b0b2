/** Keeping packages longer, or until further notice. */
import {
  extensionRequestSchema,
  heldSchema,
  holdParamsSchema,
  holdRequestSchema,
  packageParamsSchema,
  releaseQuerySchema,
  retentionSchema,
} from '@claudemesh/protocol/artifacts'
import { toRetentionView } from '../../../artifacts/views.ts'
import type { App } from '../../app.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const tags = ['artifacts']

export function retentionRoutes(app: App, { store, actor }: ArtifactRouteOptions): void {
  app.post(
    '/v1/artifacts/packages/:id/retention/extensions',
    {
      schema: {
        tags,
        summary: 'Keep a package longer',
        params: packageParamsSchema,
        body: extensionRequestSchema,
        response: { 200: retentionSchema },
      },
    },
    async ({ params, body }) =>
      toRetentionView(
        await store.use(async (registry) => {
          await registry.extendRetention(params.id, { expiresAt: body.expires_at, reason: body.reason, actor })
          return (await registry.getPackage(params.id)).retention
        }),
      ),
  )
  app.post(
    '/v1/artifacts/packages/:id/retention/holds',
    {
      schema: {
        tags,
        summary: 'Keep a package until the hold is released',
        params: packageParamsSchema,
        body: holdRequestSchema,
        response: { 201: heldSchema },
      },
    },
    async ({ params, body }, reply) => {
      const holdId = await store.use((registry) => registry.applyHold(params.id, { reason: body.reason, actor }))
      return reply.code(201).send({ package_id: params.id, hold_id: holdId })
    },
  )
  app.delete(
    '/v1/artifacts/holds/:hold',
    {
      schema: {
        tags,
        summary: 'Release a hold; the reason is in the query string',
        params: holdParamsSchema,
        querystring: releaseQuerySchema,
      },
    },
    async ({ params, query }, reply) => {
      const { reason = '' } = query
      await store.use((registry) => registry.releaseHold(params.hold, { reason, actor }))
      return reply.code(204).send()
    },
  )
}
