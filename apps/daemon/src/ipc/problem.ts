/**
 * Any error -> problem+json: the only place where an error becomes an answer, and where the errors of requests are
 * logged. No answer carries a stack trace or a text of the runtime's own.
 */
import type { Socket } from 'node:net'
import { type ErrorCode, MeshError, toProblem } from '@claudemesh/protocol'
import type { FastifyReply } from 'fastify'
import { retryAfterSeconds } from '../limits.ts'
import type { Log } from '../log.ts'
import { validationError } from './validation.ts'

export const problemContentType = 'application/problem+json; charset=utf-8'

/** What the framework's own errors mean to a caller. */
const frameworkErrors: Readonly<Record<string, { code: ErrorCode; detail?: string; hint?: string }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported_media_type',
    hint: "Send JSON with the header `content-type: application/json` (curl: -H 'content-type: application/json').",
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'invalid_json', detail: 'The body is empty' },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'invalid_json' },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'body_too_large' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'malformed_http',
    detail: 'The body does not have the length that content-length says',
  },
  FST_ERR_BAD_URL: { code: 'malformed_http', detail: 'The path is not a well-formed URL path' },
}

/** The error that a caller is told of, whatever was thrown. */
export function toMeshError(error: unknown): MeshError {
  if (error instanceof MeshError) return error
  const { code, validation, validationContext, statusCode } = (error ?? {}) as {
    code?: unknown
    validation?: Parameters<typeof validationError>[0]
    validationContext?: string
    statusCode?: unknown
  }
  if (validation !== undefined) return validationError(validation, validationContext ?? 'request')
  const known = typeof code === 'string' ? frameworkErrors[code] : undefined
  if (known !== undefined) {
    const { code: meshCode, ...options } = known
    return new MeshError(meshCode, { ...options, cause: error })
  }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new MeshError('malformed_http', { cause: error })
  }
  return new MeshError('internal_error', { cause: error })
}

/** Answers with the problem document of an error, and logs it when it is the daemon's own fault. */
export function sendProblem(o: { log: Log; reply: FastifyReply; error: unknown }): FastifyReply {
  const error = toMeshError(o.error)
  logProblem(o.log, error, o.reply)
  const { status, headers, body } = problemAnswer(error)
  // A caller that still writes sees the answer only if the rest of its body is read, and not if the connection is closed.
  if (error.code === 'body_too_large') o.reply.removeHeader('connection')
  return o.reply.code(status).headers(headers).serializer(asIs).send(body)
}

/** The answer to an error as it travels. */
export function problemAnswer(error: MeshError): { status: number; headers: Record<string, string>; body: string } {
  const headers: Record<string, string> = { 'content-type': problemContentType }
  if (error.retryable && (error.status === 429 || error.status === 503))
    headers['retry-after'] = String(retryAfterSeconds)
  if (error.code === 'unauthorized') headers['www-authenticate'] = 'Bearer realm="claudemesh"'
  if (error.code === 'method_not_allowed') headers['allow'] = String(error.data['allow'])
  if (error.code === 'shutting_down') headers['connection'] = 'close'
  return { status: error.status, headers, body: JSON.stringify(toProblem(error)) }
}

const asIs = (body: unknown) => body as string

function logProblem(log: Log, error: MeshError, reply: FastifyReply): void {
  const request = { method: reply.request.method, route: reply.request.routeOptions.url ?? null, code: error.code }
  if (error.status >= 500 && !error.retryable) log.error({ ...request, err: error }, 'request_failed')
  else if (error.code === 'internal_error' || error.code === 'storage_failed') {
    log.error({ ...request, err: error }, 'request_failed')
  } else if (error.status >= 500 || error.code === 'token_in_query') log.warn(request, 'request_refused')
  else log.debug(request, 'request_refused')
}

/** What the parser of HTTP itself refuses, before there is a request. */
const parserErrors: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

/** Answers on a connection whose bytes are no request, and closes it. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const answer = problemAnswer(new MeshError(parserErrors[error.code ?? ''] ?? 'malformed_http'))
  const head = [
    `HTTP/1.1 ${answer.status} Refused`,
    ...Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(answer.body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${answer.body}`)
}
