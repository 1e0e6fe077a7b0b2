/** `GET /v1/health`, `/v1/version`, `/v1/compat`, `/v1/metrics`, `POST /v1/heartbeat`. */
import {
  compatSchema,
  envelopeVersion,
  healthSchema,
  heartbeatRequestSchema,
  heartbeatResponseSchema,
  versionSchema,
} from '@claudemesh/protocol'
import { type HealthSources, reportHealth, schemaVersions } from '../../health-report.ts'
import type { Metrics } from '../../metrics.ts'
import type { App, RouteFamily } from '../app.ts'

/** The subprotocol of the wire. */
const wireProtocol = 'claudemesh.v1'

export function healthRoutes(o: { sources: HealthSources; metrics: Metrics }): RouteFamily {
  const { sources, metrics } = o
  return (app) => {
    const api = collectRoutes(app)
    app.get(
      '/v1/health',
      {
        config: { publicHealth: true },
        schema: { tags: ['health'], summary: 'How the daemon is', response: { 200: healthSchema } },
      },
      async () => {
        await sources.artifacts.lookAgain()
        return reportHealth(sources)
      },
    )
    app.get(
      '/v1/version',
      { schema: { tags: ['health'], summary: 'Versions', response: { 200: versionSchema } } },
      async () => ({
        version: sources.version,
        protocol: wireProtocol,
        envelope_version: envelopeVersion,
        node: process.versions.node,
      }),
    )
    app.get(
      '/v1/compat',
      {
        schema: { tags: ['health'], summary: 'What this daemon can do', response: { 200: compatSchema } },
      },
      async () => ({
        version: sources.version,
        api: [...api].sort(),
        features: { ...sources.features() },
        schemas: schemaVersions(sources),
      }),
    )
    app.get(
      '/v1/metrics',
      { schema: { tags: ['health'], summary: 'Metrics in the text format of Prometheus', produces: ['text/plain'] } },
      async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
    )
    app.post(
      '/v1/heartbeat',
      {
        schema: {
          tags: ['health'],
          summary: 'Ask whether the daemon works, and what time it has',
          body: heartbeatRequestSchema,
          response: { 200: heartbeatResponseSchema },
        },
      },
      async () => ({ now: sources.runtime.now() }),
    )
  }
}

/** Every route that is in the OpenAPI document, as `METHOD /path`; those added later included. */
function collectRoutes(app: App): Set<string> {
  const routes = new Set<string>()
  app.addHook('onRoute', (route) => {
    const hidden = (route.schema as { hide?: boolean } | undefined)?.hide === true
    const methods = hidden ? [] : [route.method].flat().filter((method) => method !== 'HEAD')
    for (const method of methods) routes.add(`${method} ${route.url.replace(/\*$/, ':path')}`)
  })
  return routes
}
