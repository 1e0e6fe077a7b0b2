/**
 * Where hooks send from: a socket of their own that takes capability tokens and nothing else (03 §4). It has two routes and
 * no others, so that what a hook may not do is not refused by a rule but absent.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import {
  MeshError,
  sendHeadersSchema,
  sendRequestSchema,
  sendResponseSchema,
  topicPostRequestSchema,
} from '@claudemesh/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Capabilities, type Grant, permitSend } from '../hooks/capabilities.ts'
import { hookConnectionsMax } from '../hooks/limits.ts'
import { requestHeaderBytesMax, requestTimeoutMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { AcceptSend } from '../send/accept-send.ts'
import { type App, createApp } from './app.ts'
import { boundBodyTime } from './body-time.ts'
import { readIdempotencyKey } from './idempotency-key.ts'
import { answerClientError, sendProblem, toMeshError } from './problem.ts'
import { createValidators } from './validation.ts'

export interface HookDoorOptions {
  readonly path: string
  readonly capabilities: Capabilities
  readonly acceptSend: Pick<AcceptSend, 'accept'>
  readonly log: Log
}

const answers = { 200: sendResponseSchema, 202: sendResponseSchema }

export class HookDoor {
  readonly #o: HookDoorOptions
  readonly #grants = new WeakMap<FastifyRequest, Grant>()
  #app: App | null = null
  #server: Server | null = null
  #refused = 0

  constructor(o: HookDoorOptions) {
    this.#o = o
  }

  /** Where it listens; null while it does not. */
  get path(): string | null {
    return this.#server === null ? null : this.#o.path
  }

  /** Requests that asked for more than their token is for. */
  get refused(): number {
    return this.#refused
  }

  /** Listens, if it does not yet. */
  async open(): Promise<void> {
    if (this.#server !== null) return
    const { path } = this.#o
    this.#app = await this.#createApp()
    const route = this.#app.routing as RequestListener
    const limits = { requestTimeout: 0, headersTimeout: requestTimeoutMs, maxHeaderSize: requestHeaderBytesMax }
    const server = createServer(limits, (request, response) => {
      boundBodyTime(request)
      route(request, response)
    })
    server.maxConnections = hookConnectionsMax
    server.on('clientError', answerClientError)
    // The caller holds the lock of the daemon: nobody else can be serving what is there.
    rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ path }, () => resolve())
    })
    chmodSync(path, 0o600)
    this.#server = server
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server !== null) {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    }
    await this.#app?.close()
    this.#app = null
  }

  async #createApp(): Promise<App> {
    const { capabilities } = this.#o
    const app = createApp({ validators: createValidators(), onError: (error, reply) => this.#refuse(error, reply) })
    app.addHook('onRequest', (request, _reply, done) => {
      try {
        this.#grants.set(request, capabilities.grantOf(request.headers.authorization))
        if (request.is404) throw new MeshError('capability_missing', { detail: 'a hook sends, and nothing else' })
        done()
      } catch (error) {
        done(error as Error)
      }
    })
    const headers = sendHeadersSchema
    app.post('/v1/send', { schema: { body: sendRequestSchema, headers, response: answers } }, (request, reply) =>
      this.#send(request, reply, request.body),
    )
    app.post(
      '/v1/topic/post',
      { schema: { body: topicPostRequestSchema, headers, response: answers } },
      (request, reply) => {
        const { topic, ...rest } = request.body
        return this.#send(request, reply, { ...rest, to: topic.startsWith('#') ? topic : `#${topic}` })
      },
    )
    await app.ready()
    return app
  }

  async #send(request: FastifyRequest, reply: FastifyReply, body: Parameters<AcceptSend['accept']>[0]) {
    const grant = this.#grants.get(request)
    if (grant === undefined) throw new Error('a request came in without a grant')
    const { idempotencyKey } = readIdempotencyKey(request)
    const asked = idempotencyKey === undefined ? body : { ...body, client_message_id: idempotencyKey }
    const answer = await this.#o.acceptSend.accept(permitSend(grant, asked), null, grant.subject.trace)
    return reply.code(answer.httpStatus).send(answer.body)
  }

  #refuse(error: unknown, reply: FastifyReply): void {
    const told = toMeshError(error)
    if (told.code === 'capability_missing') this.#refused += 1
    sendProblem({ log: this.#o.log, reply, error: told })
  }
}
