/** The OpenAPI 3.1 document of the IPC, made from the schemas that validate. */
import { problemSchema } from '@claudemesh/protocol'
import { createApp, type RouteFamily } from './app.ts'
import { problemContentType } from './problem.ts'
import { plainSchema } from './schema.ts'
import { createValidators } from './validation.ts'

/**
 * The document of these routes; every operation may answer with a problem.
 *
 * It comes from an application of its own, which serves nobody: what describes routes is larger than what serves them,
 * and hardly anybody asks.
 */
export async function describeRoutes(routes: readonly RouteFamily[], version: string): Promise<object> {
  const { default: swagger } = await import('@fastify/swagger')
  const app = createApp({ validators: createValidators(), onError: () => undefined })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'claudemesh daemon',
        version,
        description: 'The local HTTP interface of a claudemesh daemon. Every error is a problem document (RFC 9457).',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          local_token: { type: 'http', scheme: 'bearer', description: 'content of local_token; TCP only' },
        },
        schemas: { Problem: { ...(plainSchema(problemSchema) as object), additionalProperties: true } },
      },
      security: [{ local_token: [] }, {}],
    },
  })
  for (const family of routes) await family(app)
  await app.ready()
  const document = withProblems(withNamedWildcards(app.swagger() as Document))
  await app.close()
  return document
}

interface Document {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, { responses?: Record<string, unknown> }>>>>
}

/** What stands for the rest of a path has a name there, as every other part of a path has. */
function withNamedWildcards(document: Document): Document {
  return JSON.parse(JSON.stringify(document).replaceAll('{*}', '{path}').replaceAll('"name":"*"', '"name":"path"'))
}

function withProblems(document: Document): object {
  const [mediaType = ''] = problemContentType.split(';')
  const problem = {
    description: 'A problem document with a stable `code`',
    content: { [mediaType]: { schema: { $ref: '#/components/schemas/Problem' } } },
  }
  for (const operations of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(operations))
      operation.responses = { ...operation.responses, default: problem }
  }
  return document
}
