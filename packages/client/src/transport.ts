/**
 * HTTP to the daemon: connections to where it listens, which is looked up at the first call and after a failure.
 *
 * 1. Every failure is a MeshError: the daemon's own problem document, or what the connection met.
 * 2. A connection that fails is never asked again before its address has been looked up again: a daemon that came back
 *    may listen elsewhere and with another token.
 * 3. The token travels in the Authorization header alone.
 *
 * It does not check answers against their schemas: the daemon sends what those schemas produced, on the same host.
 */
import type { IncomingMessage } from 'node:http'
import { Connections } from './connections.ts'
import type { Endpoint } from './discover.ts'
import { fromProblem, MeshError, parseRetryAfter } from './protocol.ts'
import { type Failure, type RetryPolicy, retryDelayMs } from './retry.ts'
import type { ClientRuntime } from './runtime.ts'

/** What may stand in a query string. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly query?: Query
  readonly body?: unknown
  /** Whether doing it twice is the same as doing it once. */
  readonly repeatable: boolean
  /** Milliseconds that the daemon may take beyond the usual, for calls that wait for something. */
  readonly patienceMs?: number
  readonly signal?: AbortSignal | undefined
}

/** A long answer that is read as it comes. */
export interface OpenStream {
  readonly status: number
  readonly chunks: AsyncIterable<Uint8Array>
  /** Ends the connection. */
  close(): void
}

/** The daemon answers well within this, or it is stuck. */
const answerMsMax = 30_000
/** The daemon sends a comment at least every 15 s; three times that in silence is a dead stream. */
const silenceMsMax = 45_000

export class Transport {
  readonly #discover: () => Endpoint
  readonly #policy: RetryPolicy
  readonly #runtime: ClientRuntime
  #open: { endpoint: Endpoint; connections: Connections } | null = null
  #closed = false

  constructor(options: { discover: () => Endpoint; policy: RetryPolicy; runtime: ClientRuntime }) {
    this.#discover = options.discover
    this.#policy = options.policy
    this.#runtime = options.runtime
  }

  /**
   * Makes a call, again if that is safe and can help.
   *
   * @returns the parsed JSON of a 2xx answer, or its text when it is not JSON
   * @throws MeshError, or the reason of the call's signal
   */
  async call(call: Call): Promise<unknown> {
    const begunAt = this.#runtime.monotonicMs()
    let everReached = false
    for (let attempts = 1; ; attempts += 1) {
      const outcome = await this.#attempt(call)
      if (!('error' in outcome)) return outcome.body
      everReached ||= outcome.reached
      const delayMs = retryDelayMs(this.#policy, {
        failure: outcome,
        everReached,
        attempts,
        elapsedMs: this.#runtime.monotonicMs() - begunAt,
        repeatable: call.repeatable,
        random: this.#runtime.random(),
      })
      if (delayMs === null || this.#closed) throw everReached ? markReached(outcome.error) : outcome.error
      await this.#runtime.sleep(delayMs, call.signal)
    }
  }

  /**
   * Opens a stream of events. One attempt: its reader knows where to resume.
   *
   * @throws MeshError, or the reason of the signal
   */
  async stream(path: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<OpenStream> {
    try {
      const { endpoint, connections } = this.#connection()
      const answer = await connections.ask({
        method: 'GET',
        path,
        // A stream occupies its connection until it ends.
        headers: { ...headersFor(endpoint), accept: 'text/event-stream', connection: 'close', ...headers },
        silenceMsMax,
        signal,
      })
      const status = statusOf(answer)
      if (status >= 300) throw failureOfAnswer(answer, await textOf(answer), this.#runtime.now()).error
      return { status, chunks: answer, close: () => void answer.destroy() }
    } catch (cause) {
      signal?.throwIfAborted()
      throw this.#failureOf(cause).error
    }
  }

  /** What a broken connection or any other exception means. */
  failure(cause: unknown): MeshError {
    return this.#failureOf(cause).error
  }

  /** Ends the connections. Calls under way fail and are not made again. */
  close(): void {
    this.#closed = true
    this.#open?.connections.close()
    this.#open = null
  }

  async #attempt(call: Call): Promise<{ body: unknown } | Failure> {
    try {
      const { endpoint, connections } = this.#connection()
      const answer = await connections.ask({
        method: call.method,
        path: withQuery(call.path, call.query),
        headers: {
          ...headersFor(endpoint),
          accept: 'application/json',
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: call.body === undefined ? undefined : JSON.stringify(call.body),
        silenceMsMax: answerMsMax + (call.patienceMs ?? 0),
        signal: call.signal,
      })
      const text = await textOf(answer)
      if (statusOf(answer) >= 300) return failureOfAnswer(answer, text, this.#runtime.now())
      return { body: isJson(answer) ? JSON.parse(text) : text }
    } catch (cause) {
      call.signal?.throwIfAborted()
      return this.#failureOf(cause)
    }
  }

  #connection(): { endpoint: Endpoint; connections: Connections } {
    if (this.#open === null) {
      const endpoint = this.#discover()
      this.#open = { endpoint, connections: new Connections(endpoint) }
    }
    return this.#open
  }

  #failureOf(cause: unknown): Failure {
    if (cause instanceof MeshError) return { error: cause, reached: false, retryAfterMs: null }
    const abandoned = this.#open
    this.#open = null
    // Other calls may still be under way on them.
    abandoned?.connections.retire()
    return connectionFailure(cause, abandoned?.endpoint ?? null)
  }
}

/** The daemon may have done what was asked, even if the last attempt found nobody. */
function markReached(error: MeshError): MeshError {
  if (error.data['reached'] !== false) return error
  const data = { ...error.data, reached: true }
  return new MeshError(error.code, { detail: error.message, hint: error.hint, data, cause: error.cause })
}

function headersFor(endpoint: Endpoint): Record<string, string> {
  return endpoint.kind === 'tcp' ? { authorization: `Bearer ${endpoint.token}` } : {}
}

export function withQuery(path: string, query: Query | undefined): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) search.set(name, String(value))
  }
  const text = search.toString()
  return text === '' ? path : `${path}?${text}`
}

function statusOf(answer: IncomingMessage): number {
  return answer.statusCode ?? 0
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of answer.setEncoding('utf8')) text += part
  return text
}

function isJson(answer: IncomingMessage): boolean {
  return /^application\/(?:[a-z.-]+\+)?json\b/.test(header(answer, 'content-type') ?? '')
}

function header(answer: IncomingMessage, name: string): string | null {
  const value = answer.headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? null
}

function failureOfAnswer(answer: IncomingMessage, text: string, now: number): Failure {
  return {
    error: errorOfAnswer(answer, text),
    reached: true,
    retryAfterMs: parseRetryAfter(header(answer, 'retry-after'), now),
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

function connectionFailure(cause: unknown, endpoint: Endpoint | null): Failure {
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
