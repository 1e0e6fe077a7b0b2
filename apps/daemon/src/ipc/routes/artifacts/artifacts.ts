/** `/v1/artifacts/*`: the store of artifacts (06 §16). Every rule is the store's own; this only translates. */
import { artifactStatsSchema, artifactsHealthSchema } from '@claudemesh/protocol/artifacts'
import { toStatsView } from '../../../artifacts/views.ts'
import type { App, RouteFamily } from '../../app.ts'
import { downloadRoutes } from './download.ts'
import { artifactEventRoutes } from './events.ts'
import { fileRoutes } from './files.ts'
import { imageRoutes } from './images.ts'
import { maintenanceRoutes } from './maintenance.ts'
import { packageRoutes } from './packages.ts'
import { retentionRoutes } from './retention.ts'
import type { ArtifactRouteOptions } from './route-options.ts'
import { signatureRoutes } from './signatures.ts'
import { uploadRoutes } from './uploads.ts'

export function artifactRoutes(o: ArtifactRouteOptions): RouteFamily {
  return async (app) => {
    storeRoutes(app, o)
    packageRoutes(app, o)
    await fileRoutes(app, o)
    await uploadRoutes(app, o)
    downloadRoutes(app, o)
    signatureRoutes(app, o)
    imageRoutes(app, o)
    retentionRoutes(app, o)
    maintenanceRoutes(app, o)
    artifactEventRoutes(app, o)
  }
}

function storeRoutes(app: App, { store }: ArtifactRouteOptions): void {
  app.get(
    '/v1/artifacts/health',
    {
      schema: {
        tags: ['artifacts'],
        summary: 'How the store of artifacts is; 503 when it is down',
        response: { 200: artifactsHealthSchema, 503: artifactsHealthSchema },
      },
    },
    async (_request, reply) => {
      const health = await store.look()
      return reply.code(health.status === 'down' ? 503 : 200).send(health)
    },
  )
  app.get(
    '/v1/artifacts/stats',
    {
      schema: {
        tags: ['artifacts'],
        summary: 'How much is in the store; goes through all of it',
        response: { 200: artifactStatsSchema },
      },
    },
    async () => toStatsView(await store.use((registry) => registry.stats())),
  )
}
