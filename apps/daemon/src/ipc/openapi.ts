/** The OpenAPI 3.1 document of the IPC, made from the schemas that validate. */
import { problemSchema } from '@claudemesh/protocol'
import swagger from '@fastify/swagger'
import type { App } from './app.ts'
import { problemContentType } from './problem.ts'
import { plainSchema } from './schema.ts'

/** Must be registered before the routes it describes. */
export async function registerOpenapi(app: App, version: string): Promise<void> {
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
}

/** The document; every operation may answer with a problem. */
export function openapiDocument(app: App): object {
  const document = app.swagger() as { paths?: Record<string, Record<string, { responses?: Record<string, unknown> }>> }
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
