/** `GET /v1/artifacts/health`. */
import { artifactsHealthSchema } from '@claudemesh/protocol'
import type { ArtifactStore } from '../../../artifacts/artifact-store.ts'
import type { RouteFamily } from '../../app.ts'

export function artifactHealthRoutes({ artifacts }: { artifacts: ArtifactStore }): RouteFamily {
  return (app) => {
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
        const health = await artifacts.look()
        return reply.code(health.status === 'down' ? 503 : 200).send(health)
      },
    )
  }
}
