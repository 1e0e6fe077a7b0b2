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
import type { Readable } from 'node:stream'
import { headerOf, isJson, statusOf, textOf } from './answer.ts'
import { Connections, SourceFailure } from './connections.ts'
import type { Endpoint } from './discover.ts'
import { connectionFailure, failureOfAnswer, markReached } from './failure.ts'
import { MeshError } from './protocol.ts'
import { type Failure, type RetryPolicy, retryDelayMs } from './retry.ts'
import type { ClientRuntime } from './runtime.ts'

/** What may stand in a query string. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Query
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is, in the place of `body`; opened anew for each attempt. An error of it is thrown as it is. */
  readonly source?: () => Readable
  /** Whether doing it twice is the same as doing it once. */
  readonly repeatable: boolean
  /** Milliseconds that the daemon may take beyond the usual, for calls that wait for something. */
  readonly patienceMs?: number
  readonly signal?: AbortSignal | undefined
}

/** A long answer that is read as it comes. */
export interface OpenStream {
  readonly status: number
  /** @param name in lower case */
  header(name: string): string | null
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
    return await this.#repeat(call, async (answer) => {
      const text = await textOf(answer)
      return isJson(answer) ? JSON.parse(text) : text
    })
  }

  /**
   * As `call`, for an answer whose body is read as it comes. What it meets from then on is the reader's: see `failure`.
   *
   * @throws MeshError, or the reason of the call's signal
   */
  async open(call: Call): Promise<OpenStream> {
    return await this.#repeat(call, async (answer) => toStream(answer))
  }

  /**
   * Opens a stream of events. One attempt: its reader knows where to resume.
   *
   * @throws MeshError, or the reason of the signal
   */
  async stream(path: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<OpenStream> {
    // A stream occupies its connection until it ends.
    const own = { accept: 'text/event-stream', connection: 'close', ...headers }
    const patienceMs = silenceMsMax - answerMsMax
    const call: Call = { method: 'GET', path, headers: own, repeatable: false, patienceMs, signal }
    const outcome = await this.#attempt(call, async (answer) => toStream(answer))
    if ('error' in outcome) throw outcome.error
    return outcome.taken
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

  async #repeat<Taken>(call: Call, take: (answer: IncomingMessage) => Promise<Taken>): Promise<Taken> {
    const begunAt = this.#runtime.monotonicMs()
    let everReached = false
    for (let attempts = 1; ; attempts += 1) {
      const outcome = await this.#attempt(call, take)
      if (!('error' in outcome)) return outcome.taken
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

  async #attempt<Taken>(
    call: Call,
    take: (answer: IncomingMessage) => Promise<Taken>,
  ): Promise<{ taken: Taken } | Failure> {
    try {
      const { endpoint, connections } = this.#connection()
      const answer = await connections.ask({
        method: call.method,
        path: withQuery(call.path, call.query),
        headers: {
          ...headersFor(endpoint),
          accept: 'application/json',
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...call.headers,
        },
        body: call.source?.() ?? (call.body === undefined ? undefined : JSON.stringify(call.body)),
        silenceMsMax: answerMsMax + (call.patienceMs ?? 0),
        signal: call.signal,
      })
      if (!isGood(answer)) return failureOfAnswer(answer, await textOf(answer), this.#runtime.now())
      return { taken: await take(answer) }
    } catch (cause) {
      call.signal?.throwIfAborted()
      if (cause instanceof SourceFailure) throw cause.cause
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

/** What the route itself has to say, which is also of a store that is down: it is no problem document then. */
function isGood(answer: IncomingMessage): boolean {
  return statusOf(answer) < 300 || /^application\/json\b/.test(headerOf(answer, 'content-type') ?? '')
}

function toStream(answer: IncomingMessage): OpenStream {
  return {
    status: statusOf(answer),
    header: (name) => headerOf(answer, name),
    chunks: answer,
    close: () => void answer.destroy(),
  }
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
