/** The Fastify application that both transports serve: parsing, validation, errors. Who may ask is gate.ts's. */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { MeshError } from '@claudemesh/protocol'
import buildSerializer from 'fast-json-stringify'
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  fastify,
  type HTTPMethods,
  type RawServerDefault,
} from 'fastify'
import { pathParameterCharactersMax, requestBodyBytesMax } from '../limits.ts'
import { plainSchema, type SchemaTypes } from './schema.ts'
import type { Validators } from './validation.ts'

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, SchemaTypes>

/** The routes of one family, ready to be added to an application. They are all there when it has returned or resolved. */
export type RouteFamily = (app: App) => void | Promise<void>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer goes on until either side ends it: bounded by the number of streams, not of requests. */
    stream?: boolean
    /** Over TCP the route may be open without the token, when the configuration says so. */
    publicHealth?: boolean
    /** The route is there to answer 405 before anything of the request is looked at. */
    refusesMethod?: boolean
  }
}

const noQuery = { type: 'object', properties: {}, additionalProperties: false }
const noBody = { anyOf: [{ type: 'null' }, { type: 'object', properties: {}, additionalProperties: false }] }
const methodsAnswered: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

export function createApp(o: { validators: Validators; onError: (error: unknown, reply: FastifyReply) => void }): App {
  const app = fastify({
    logger: false,
    bodyLimit: requestBodyBytesMax,
    requestIdHeader: false,
    return503OnClosing: false,
    routerOptions: { maxParamLength: pathParameterCharactersMax },
    frameworkErrors: (error, _request, reply) => o.onError(error, reply),
  }).withTypeProvider<SchemaTypes>()
  app.setValidatorCompiler(({ schema, httpPart }) => o.validators.compile({ schema: schema as object, httpPart }))
  app.setSerializerCompiler(({ schema }) => serializeWhenAsked(schema as object))
  app.setErrorHandler((error, _request, reply) => o.onError(error, reply))
  app.setNotFoundHandler((_request, reply) => o.onError(new MeshError('not_found'), reply))
  takeStrictJson(app)
  closeSchemas(app)
  return app
}

/** A serialiser that is compiled for the first answer: a daemon gives few of all the answers that its routes have. */
function serializeWhenAsked(schema: object): (answer: unknown) => string {
  let serialize: ((answer: unknown) => string) | null = null
  return (answer) => {
    serialize ??= buildSerializer(schema)
    return serialize(answer)
  }
}

/** A request of a route that says nothing about its query or body has none: unknown fields are refused everywhere. */
function closeSchemas(app: App): void {
  app.addHook('onRoute', (route) => {
    if (route.config?.refusesMethod === true) return
    const stated = (route.schema ?? {}) as Record<string, unknown>
    const takesBody = route.method === 'POST' && stated['body'] === undefined
    route.schema = plainSchema({ querystring: noQuery, ...(takesBody ? { body: noBody } : {}), ...stated }) as object
  })
}

function takeStrictJson(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const bytes = body as Buffer
    if (isUtf8(bytes)) parse(request, bytes.toString('utf8'), done)
    else done(new MeshError('invalid_json', { detail: 'The body is not text in UTF-8' }), undefined)
  })
}

/** Collects the methods of each address while routes are added, and then answers all others with 405. */
export function refuseOtherMethods(app: App): { seal(): void } {
  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', (route) => {
    const known = methods.get(route.url) ?? new Set()
    for (const method of [route.method].flat()) known.add(method)
    methods.set(route.url, known)
  })
  const seal = () => {
    for (const [url, known] of [...methods]) {
      const allow = [...known].join(', ')
      app.route({
        method: methodsAnswered.filter((method) => !known.has(method)),
        url,
        schema: { hide: true },
        config: { refusesMethod: true },
        onRequest: (_request, _reply, done) => done(new MeshError('method_not_allowed', { data: { allow } })),
        handler: () => undefined,
      })
    }
  }
  return { seal }
}
