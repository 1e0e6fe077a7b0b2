/**
 * The daemon's HTTP interface: one application, served on the Unix socket and, where the configuration says so, on
 * 127.0.0.1. The two listeners differ only in what the gate asks of a request.
 */
import { chmodSync, lstatSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { MeshError } from '@claudemesh/protocol'
import type { DaemonConfig } from '../config/config.ts'
import { idleConnectionsMax, keepAliveTimeoutMs, requestHeaderBytesMax, requestTimeoutMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import { type App, createApp, type RouteFamily, refuseOtherMethods } from './app.ts'
import { boundBodyTime } from './body-time.ts'
import { Gate } from './gate.ts'
import { describeRoutes } from './openapi.ts'
import { answerClientError, problemAnswer, sendProblem, toMeshError } from './problem.ts'
import type { EventStreams } from './sse.ts'
import type { Validators } from './validation.ts'

export interface IpcOptions {
  readonly config: () => DaemonConfig
  readonly acceptedTokens: () => readonly string[]
  readonly version: string
  readonly runtime: Runtime
  readonly log: Log
  readonly validators: Validators
  readonly streams: EventStreams
  readonly routes: readonly RouteFamily[]
  readonly onConnection: () => void
  readonly onAnswered: (route: string, status: number) => void
  /** Told of every error that was answered, after the answer. */
  readonly onProblem: (error: MeshError) => void
}

export class IpcServer {
  readonly #app: App
  readonly #gate: Gate
  readonly #streams: EventStreams
  readonly #config: () => DaemonConfig
  readonly #onConnection: () => void
  readonly #servers: Server[] = []

  private constructor(o: { app: App; gate: Gate } & Pick<IpcOptions, 'streams' | 'config' | 'onConnection'>) {
    this.#app = o.app
    this.#gate = o.gate
    this.#streams = o.streams
    this.#config = o.config
    this.#onConnection = o.onConnection
  }

  /** Builds the application with all its routes; nothing listens yet. */
  static async create(o: IpcOptions): Promise<IpcServer> {
    const app = createApp({
      validators: o.validators,
      onError: (error, reply) => {
        const told = toMeshError(error)
        sendProblem({ log: o.log, reply, error: told })
        o.onProblem(told)
      },
    })
    const gate = new Gate(o)
    gate.guard(app)
    const others = refuseOtherMethods(app)
    for (const family of o.routes) await family(app)
    let document: Promise<object> | null = null
    app.get('/v1/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
      document ??= describeRoutes(o.routes, o.version)
      return reply.type('application/json; charset=utf-8').send(await document)
    })
    others.seal()
    await app.ready()
    return new IpcServer({ ...o, app, gate })
  }

  /** Requests that are being worked on, by transport. */
  get inflight(): { readonly unix: number; readonly tcp: number } {
    return { unix: this.#gate.unix.current, tcp: this.#gate.tcp.current }
  }

  /**
   * Listens on a Unix socket. What is left there by a process that was killed is removed: the caller holds the lock,
   * so nobody else can be serving it.
   *
   * @param inherited the descriptor of a socket that listens there already, and stays when this process is gone
   * @throws MeshError start_failed when something that is no socket is in the way
   */
  async listenOnSocket(path: string, inherited: number | null): Promise<void> {
    if (inherited === null) removeStaleSocket(path)
    const server = this.#createServer(this.#config().ipc.socketInflightMax)
    server.on('connection', (connection) => this.#gate.trust(connection))
    await listen(server, inherited === null ? { path } : { fd: inherited })
    if (inherited === null) chmodSync(path, 0o600)
  }

  /** Listens on 127.0.0.1. Returns the port. */
  async listenOnLoopback(port: number): Promise<number> {
    const server = this.#createServer(this.#config().ipc.tcpInflightMax)
    await listen(server, { host: '127.0.0.1', port })
    const address = server.address()
    return address !== null && typeof address === 'object' ? address.port : port
  }

  /** From now on requests are answered with 503, and event streams end. */
  refuse(): void {
    this.#gate.close()
    this.#streams.stop()
  }

  /** Resolves when every request that was admitted has been answered. */
  async settled(): Promise<void> {
    await this.#gate.idle()
  }

  /** Stops listening and closes every connection, answered or not. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    for (const server of this.#servers) server.closeAllConnections()
    await Promise.all(closed)
    await this.#app.close()
  }

  #createServer(inflightMax: number): Server {
    const options = {
      keepAliveTimeout: keepAliveTimeoutMs,
      headersTimeout: requestTimeoutMs,
      // Bodies have a time of their own, which some of them are freed of.
      requestTimeout: 0,
      maxHeaderSize: requestHeaderBytesMax,
      // A missing Host is judged by the gate, which answers with a problem document.
      requireHostHeader: false,
    }
    const route = this.#app.routing as RequestListener
    const server = createServer(options, (request, response) => {
      boundBodyTime(request)
      route(request, response)
    })
    server.on('checkContinue', (request, response) => {
      boundBodyTime(request)
      // A body that is taken as bytes is asked for when it is known to be wanted.
      if (request.method !== 'PUT' && request.method !== 'PATCH') response.writeContinue()
      route(request, response)
    })
    server.maxConnections = inflightMax + idleConnectionsMax
    server.on('connection', this.#onConnection)
    server.on('clientError', answerClientError)
    server.on('checkExpectation', (_request, response) => {
      const answer = problemAnswer(new MeshError('malformed_http', { detail: 'The Expect header is not understood' }))
      response.writeHead(answer.status, answer.headers).end(answer.body)
    })
    this.#servers.push(server)
    return server
  }
}

async function listen(
  server: Server,
  address: { path: string } | { fd: number } | { host: string; port: number },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

function removeStaleSocket(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new MeshError('start_failed', {
      detail: `${path} is in the way: it is not a socket`,
      hint: `Move it away: mv ${path} ${path}.moved`,
    })
  }
  rmSync(path)
}
