/**
 * HTTP to one address of the daemon, over connections that are kept and used again.
 *
 * 1. No more than `connectionsMax` at once; further requests wait their turn.
 * 2. A request ends at once when its signal fires or the connections are closed, wherever it has got to.
 * 3. Silence has an end: of a connection that does not come about, and of a daemon that does not go on.
 *
 * It is node:http and no more: a command that sends one message waits for all that its HTTP client loads.
 */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import type { Endpoint } from './discover.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** A stream is read as fast as the daemon takes it, and is closed when the request ends, however it does. */
  readonly body?: string | Readable | undefined
  /**
   * Milliseconds without a byte after which the daemon is not waited for any longer. Before the end of a body that is a
   * stream it is: whoever makes the body may be slow.
   */
  readonly silenceMsMax: number
  readonly signal?: AbortSignal | undefined
}

/** Why a request was given up. */
class Silence extends Error {
  readonly code: 'connect_timeout' | 'answer_timeout'

  constructor(code: Silence['code']) {
    super(code === 'connect_timeout' ? 'no connection in time' : 'no answer in time')
    this.code = code
  }
}

/** The stream that a body comes from has failed; `cause` says how. */
export class SourceFailure extends Error {
  constructor(cause: unknown) {
    super('the source of the body failed', { cause })
  }
}

/** Connections of one client: more than this many calls at once wait their turn here. */
const connectionsMax = 64
const connectMsMax = 5_000
/** Far below what the daemon keeps an idle connection for, so that no request meets one that is being closed. */
const idleMsMax = 4_000

export class Connections {
  readonly #address: { readonly socketPath: string } | { readonly host: string; readonly port: number }
  readonly #agent = new Agent({ keepAlive: true, maxSockets: connectionsMax, timeout: idleMsMax })
  /** What ends each request that is under way. */
  readonly #underWay = new Set<(reason: Error) => void>()
  #retired = false

  constructor(endpoint: Endpoint) {
    this.#address =
      endpoint.kind === 'socket' ? { socketPath: endpoint.path } : { host: '127.0.0.1', port: endpoint.port }
  }

  /**
   * @returns the answer with its body still to be read; reading it ends early for the same reasons
   * @throws an error with the code connect_timeout or answer_timeout, one of the system or of the HTTP parser,
   *   SourceFailure, or the reason of the signal
   */
  async ask(o: HttpRequest): Promise<IncomingMessage> {
    const source = o.body instanceof Readable ? o.body : null
    if (o.signal?.aborted === true) source?.destroy()
    o.signal?.throwIfAborted()
    return await new Promise((resolve, reject) => {
      const { method, path, headers } = o
      const timeout = source === null ? o.silenceMsMax : 0
      const asked = request({ ...this.#address, agent: this.#agent, method, path, headers, timeout })
      let answer: IncomingMessage | null = null
      const end = (reason: Error) => {
        reject(reason)
        // An answer that is being read tells its reader the reason, which a request that has one could not.
        if (answer === null) asked.destroy(reason)
        else answer.destroy(reason)
      }
      const abandon = () => end(o.signal?.reason)
      o.signal?.addEventListener('abort', abandon)
      this.#underWay.add(end)

      asked.on('socket', (socket) => {
        if (!socket.connecting) return
        socket.setTimeout(connectMsMax)
        socket.once('connect', () => socket.setTimeout(timeout))
      })
      asked.on('timeout', () => end(new Silence(asked.socket?.connecting ? 'connect_timeout' : 'answer_timeout')))
      asked.on('response', (incoming) => {
        answer = incoming
        if (source !== null) keepOrEnd(asked, { incoming, source })
        resolve(incoming)
      })
      asked.on('error', reject)
      asked.on('close', () => {
        source?.destroy()
        o.signal?.removeEventListener('abort', abandon)
        this.#underWay.delete(end)
        if (this.#retired && this.#underWay.size === 0) this.#agent.destroy()
      })
      if (source === null) {
        asked.end(o.body)
        return
      }
      source.on('error', (cause) => end(new SourceFailure(cause)))
      asked.on('finish', () => asked.setTimeout(o.silenceMsMax))
      source.pipe(asked)
    })
  }

  /** Lets the requests that are under way come to their end, and then closes. */
  retire(): void {
    this.#retired = true
    if (this.#underWay.size === 0) this.#agent.destroy()
  }

  /** Closes at once. Requests under way fail. */
  close(): void {
    this.#retired = true
    for (const end of this.#underWay) end(new Error('the client was closed'))
    this.#agent.destroy()
  }
}

/** An answer that came before the end of the body needs no more of it; its connection is then of no further use. */
function keepOrEnd(asked: ClientRequest, o: { readonly incoming: IncomingMessage; readonly source: Readable }): void {
  if (asked.writableEnded) return
  o.source.unpipe(asked)
  o.source.destroy()
  o.incoming.on('end', () => asked.destroy())
}
