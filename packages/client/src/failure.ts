/** What a call met that failed, as the error that its caller gets. */
import type { IncomingMessage } from 'node:http'
import { headerOf, isJson, statusOf } from './answer.ts'
import type { Endpoint } from './discover.ts'
import { fromProblem, MeshError, parseRetryAfter } from './protocol.ts'
import type { Failure } from './retry.ts'

/** The daemon may have done what was asked, even if the last attempt found nobody. */
export function markReached(error: MeshError): MeshError {
  if (error.data['reached'] !== false) return error
  const data = { ...error.data, reached: true }
  return new MeshError(error.code, { detail: error.message, hint: error.hint, data, cause: error.cause })
}

/** What an answer means that is not of the kind asked for. */
export function failureOfAnswer(answer: IncomingMessage, text: string, now: number): Failure {
  return {
    error: errorOfAnswer(answer, text),
    reached: true,
    retryAfterMs: parseRetryAfter(headerOf(answer, 'retry-after'), now),
  }
}

function errorOfAnswer(answer: IncomingMessage, text: string): MeshError {
  if (isJson(answer)) {
    try {
      const problem: unknown = JSON.parse(text)
      if (typeof problem === 'object' && problem !== null) return fromProblem(problem)
    } catch {
      // A cut or broken document: the answer below says what is known of it.
    }
  }
  return new MeshError('internal_error', {
    detail: `the daemon answered ${statusOf(answer)} without a problem document`,
    data: { http_status: statusOf(answer) },
  })
}

/** What the system says when the daemon was not reached at all. */
const unreachedCodes = new Set([
  'ENOENT',
  'ENOTDIR',
  'ECONNREFUSED',
  'EAGAIN',
  'EINVAL',
  'ENAMETOOLONG',
  'connect_timeout',
])

/** What the system or the parser says when the daemon went away under a request. */
const endedCodes = new Set(['ECONNRESET', 'EPIPE', 'HPE_INVALID_EOF_STATE'])

/** What the connection met, told as an error with a hint. */
export function connectionFailure(cause: unknown, endpoint: Endpoint | null): Failure {
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'unknown'
  const text = cause instanceof Error ? cause.message : String(cause)
  const where = endpoint === null ? 'the daemon' : endpointText(endpoint)
  const reached = !unreachedCodes.has(code) && code !== 'EACCES' && code !== 'EPERM'
  const data = { reason: code, reached, ...(endpoint?.kind === 'socket' ? { socket: endpoint.path } : {}) }
  const failure = (error: MeshError): Failure => ({ error, reached, retryAfterMs: null })

  if (unreachedCodes.has(code)) {
    return failure(new MeshError('daemon_unreachable', { detail: `no daemon answers at ${where}`, data, cause }))
  }
  if (code === 'EACCES' || code === 'EPERM') {
    const hint = 'Run this as the user that owns the home, or set CLAUDEMESH_HOME to your own.'
    const detail = `${where} belongs to somebody else`
    return failure(new MeshError('unsafe_permissions', { detail, hint, data, cause }))
  }
  if (code === 'answer_timeout') {
    const hint = 'See `claudemesh daemon status` and `claudemesh daemon logs`.'
    return failure(new MeshError('timeout', { detail: `${where} did not answer in time`, hint, data, cause }))
  }
  const ended = endedCodes.has(code)
  const detail = ended ? `the connection to ${where} ended early` : `the connection to ${where} failed: ${text}`
  return failure(new MeshError('daemon_unreachable', { detail, data, cause }))
}

function endpointText(endpoint: Endpoint): string {
  return endpoint.kind === 'socket' ? endpoint.path : `127.0.0.1:${endpoint.port}`
}
