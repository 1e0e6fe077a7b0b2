/** `POST /v1/send`, `/v1/send/batch`, `/v1/topic/post`: a checked request in, the answer of the accept path out. */
import { isUtf8 } from 'node:buffer'
import {
  MeshError,
  readTraceContext,
  type SendQuery,
  type SendRequest,
  sendBatchHeadersSchema,
  sendBatchRequestSchema,
  sendBatchResponseSchema,
  sendHeadersSchema,
  sendQuerySchema,
  sendRequestSchema,
  sendResponseSchema,
  type TraceContext,
  toProblem,
  topicPostRequestSchema,
} from '@claudemesh/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AcceptSend } from '../../send/accept-send.ts'
import type { SendAnswer } from '../../send/accept-table.ts'
import type { App, RouteFamily } from '../app.ts'
import { toMeshError } from '../problem.ts'
import { plainSchema } from '../schema.ts'
import { type Validators, validationError } from '../validation.ts'

export interface SendRouteOptions {
  readonly acceptSend: AcceptSend
  readonly validators: Validators
  /** Ends waits when the daemon stops: what is proven by then is the answer. */
  readonly stopping: AbortSignal
  /** Told of an item that failed through the daemon's own fault. */
  readonly onItemFailed: (error: MeshError) => void
}

const answers = { 200: sendResponseSchema, 202: sendResponseSchema }

export function sendRoutes(o: SendRouteOptions): RouteFamily {
  return async (app) => {
    app.post(
      '/v1/send',
      {
        schema: {
          tags: ['send'],
          summary: 'Send a message to a member, a topic or a work queue; the answer is given when it is on disk',
          body: sendRequestSchema,
          headers: sendHeadersSchema,
          querystring: sendQuerySchema,
          response: answers,
        },
      },
      async (request, reply) => {
        const answer = await o.acceptSend.accept(request.body, idempotencyKey(request), traceOf(request))
        return send(reply, await awaited(o, answer, { query: request.query, reply }))
      },
    )
    app.post(
      '/v1/topic/post',
      {
        schema: {
          tags: ['send', 'topics'],
          summary: 'Send a message to a topic',
          body: topicPostRequestSchema,
          headers: sendHeadersSchema,
          querystring: sendQuerySchema,
          response: answers,
        },
      },
      async (request, reply) => {
        const answer = await o.acceptSend.acceptTopicPost(request.body, idempotencyKey(request), traceOf(request))
        return send(reply, await awaited(o, answer, { query: request.query, reply }))
      },
    )
    // In a scope of its own: newline-delimited JSON is taken here and nowhere else.
    await app.register(async (scope) => batchRoute(scope as App, o))
  }
}

function send(reply: FastifyReply, { httpStatus, body }: SendAnswer): FastifyReply {
  return reply.code(httpStatus).send(body)
}

function idempotencyKey(request: FastifyRequest): string | null {
  const header = request.headers['idempotency-key']
  return header === undefined ? null : String(header)
}

function traceOf({ headers }: FastifyRequest): TraceContext | null {
  return readTraceContext(headers['traceparent'], headers['tracestate'])
}

/** Waits as long as the caller asked for and stays. */
async function awaited(
  o: SendRouteOptions,
  answer: SendAnswer,
  { query, reply }: { query: SendQuery; reply: FastifyReply },
): Promise<SendAnswer> {
  if (query.wait === undefined || query.wait === 0) return answer
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const signal = AbortSignal.any([o.stopping, gone.signal])
  return o.acceptSend.awaitState(answer, { waitMs: query.wait, until: query.until ?? 'accepted', signal })
}

function batchRoute(app: App, o: SendRouteOptions): void {
  const isSendRequest = o.validators.compile({ schema: plainSchema(sendRequestSchema) as object, httpPart: 'body' })
  takeNewlineDelimitedJson(app)

  const acceptItem = async (item: unknown, trace: TraceContext | null): Promise<{ status: number; body: unknown }> => {
    try {
      if (item instanceof MeshError) throw item
      if (isSendRequest(item) !== true) throw validationError(isSendRequest.errors, 'body')
      const { httpStatus, body } = await o.acceptSend.accept(item as SendRequest, null, trace)
      return { status: httpStatus, body }
    } catch (error) {
      const told = toMeshError(error)
      if (told.status >= 500) o.onItemFailed(told)
      return { status: told.status, body: toProblem(told) }
    }
  }

  app.post(
    '/v1/send/batch',
    {
      schema: {
        tags: ['send'],
        summary: 'Send 1 to 256 messages: a JSON array, or one JSON document per line; one answer per item, in order',
        consumes: ['application/json', 'application/x-ndjson'],
        body: sendBatchRequestSchema,
        headers: sendBatchHeadersSchema,
        response: { 200: sendBatchResponseSchema },
      },
    },
    async (request) => {
      if (idempotencyKey(request) !== null) {
        throw new MeshError('invalid_request', {
          detail: 'One Idempotency-Key cannot stand for several messages; give each item its client_message_id',
          data: { field: 'Idempotency-Key' },
        })
      }
      // All of them are handed over in one turn of the event loop, so that they share one transaction.
      const trace = traceOf(request)
      return { items: await Promise.all(request.body.map((item) => acceptItem(item, trace))) }
    },
  )
}

/** A line that is no JSON becomes the error of its own item. */
function takeNewlineDelimitedJson(app: App): void {
  const parse = (line: string): unknown => {
    try {
      return JSON.parse(line)
    } catch {
      // The parser's text would quote the message; that the line is none is all there is to say.
      return new MeshError('invalid_json', { detail: 'The line is not a JSON document' })
    }
  }
  app.addContentTypeParser('application/x-ndjson', { parseAs: 'buffer' }, (_request, body, done) => {
    const bytes = body as Buffer
    if (!isUtf8(bytes)) done(new MeshError('invalid_json', { detail: 'The body is not text in UTF-8' }), undefined)
    else
      done(
        null,
        bytes
          .toString('utf8')
          .split('\n')
          .filter((line) => line.trim() !== '')
          .map(parse),
      )
  })
}
