/**
 * What every request passes before a route sees it, in this order: is the daemon taking requests, is this client too
 * fast, may it ask, is there room. A request that is refused here has read no body and changed nothing.
 */
import type { Socket } from 'node:net'
import { MeshError } from '@claudemesh/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { DaemonConfig } from '../config/config.ts'
import { tcpRequestsPerSecond } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { App } from './app.ts'
import { LoopbackAuth, refuseTokenInQuery } from './auth.ts'
import { InflightBound, TokenBucket } from './busy.ts'

export interface GateOptions {
  readonly config: () => DaemonConfig
  readonly acceptedTokens: () => readonly string[]
  readonly runtime: Runtime
  /** Told of every answer of a route: its address and its HTTP status. */
  readonly onAnswered: (route: string, status: number) => void
}

export class Gate {
  readonly #config: () => DaemonConfig
  readonly #auth: LoopbackAuth
  readonly #tcpRate: TokenBucket
  readonly #onAnswered: (route: string, status: number) => void
  readonly #unixConnections = new WeakSet<Socket>()
  readonly unix: InflightBound
  readonly tcp: InflightBound
  #closed = false

  constructor(o: GateOptions) {
    this.#config = o.config
    this.#auth = new LoopbackAuth(o.acceptedTokens)
    this.#tcpRate = new TokenBucket({ perSecond: tcpRequestsPerSecond, monotonicMs: o.runtime.monotonicMs })
    this.#onAnswered = o.onAnswered
    this.unix = new InflightBound(() => o.config().ipc.socketInflightMax)
    this.tcp = new InflightBound(() => o.config().ipc.tcpInflightMax)
  }

  /** Says that a connection came over the Unix socket. Every other one has to show the token. */
  trust(connection: Socket): void {
    this.#unixConnections.add(connection)
  }

  /** From now on every request is answered with 503. */
  close(): void {
    this.#closed = true
  }

  /** Resolves when every admitted request has been answered. */
  async idle(): Promise<void> {
    await Promise.all([this.unix.idle(), this.tcp.idle()])
  }

  guard(app: App): void {
    app.addHook('onRequest', (request, reply, done) => {
      try {
        this.#admit(request, reply)
        done()
      } catch (error) {
        done(error as Error)
      }
    })
  }

  #admit(request: FastifyRequest, reply: FastifyReply): void {
    if (this.#closed) throw new MeshError('shutting_down')
    const isUnix = this.#unixConnections.has(request.raw.socket)
    if (!isUnix) this.#tcpRate.take()
    refuseTokenInQuery(request.raw.url ?? '', request.query)
    if (!isUnix) this.#authenticate(request)
    if (request.is404) throw new MeshError('not_found')
    const { config, url } = request.routeOptions
    if (config.stream === true) return
    const bound = isUnix ? this.unix : this.tcp
    bound.enter()
    reply.raw.once('close', () => {
      bound.leave()
      this.#onAnswered(url ?? '', reply.raw.statusCode)
    })
  }

  #authenticate(request: FastifyRequest): void {
    const { allowedOrigins, publicHealthCheck } = this.#config().ipc
    const { host, origin, authorization } = request.headers
    const tokenRequired = !(publicHealthCheck && request.routeOptions.config.publicHealth === true)
    this.#auth.judge({ host, origin, authorization }, { allowedOrigins, tokenRequired })
  }
}
