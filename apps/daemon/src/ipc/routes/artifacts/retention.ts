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
import { readIdempotencyKey } from '../../idempotency-key.ts'
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
    async (request) => {
      const { id } = request.params
      const { expires_at: expiresAt, reason } = request.body
      const asked = { expiresAt, reason, ...readIdempotencyKey(request), actor }
      const { retention } = await store.use(async (registry) => {
        await registry.extendRetention(id, asked)
        return registry.getPackage(id)
      })
      return toRetentionView(retention)
    },
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
    async (request, reply) => {
      const { id } = request.params
      const asked = { ...request.body, ...readIdempotencyKey(request), actor }
      const holdId = await store.use((registry) => registry.applyHold(id, asked))
      return reply.code(201).send({ package_id: id, hold_id: holdId })
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
    async (request, reply) => {
      const { reason = '' } = request.query
      const asked = { reason, ...readIdempotencyKey(request), actor }
      await store.use((registry) => registry.releaseHold(request.params.hold, asked))
      return reply.code(204).send()
    },
  )
}
