/**
 * The reference receiver of a forward sink: HTTP in, a ledger behind it.
 *
 *     POST /v1/batches   lines of JSON under an X-Batch-Id; 200 once they are durable, the same answer for the same id
 *     GET  /v1/batches   how many batches, rows and repeats there are
 *     GET  /v1/rows      every row, as it came
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { MeshError, toProblem } from '@claudemesh/protocol'
import { Ledger } from './ledger.ts'
import { readBatch } from './read-batch.ts'

export interface SinkServerOptions {
  /** File of the ledger; made when there is none. */
  readonly ledger: string
  readonly host: string
  /** 0: any. */
  readonly port: number
  /** What requests must carry as `Authorization: Bearer`; null: nothing. */
  readonly token: string | null
  /** What bodies must be signed with; null: they are not. */
  readonly signatureKey: string | null
  readonly now: () => number
}

const json = 'application/json'

export class SinkServer {
  readonly #o: SinkServerOptions
  readonly #ledger: Ledger
  readonly #server: Server

  /** @throws MeshError what opening the ledger throws; `start_failed` when it cannot listen */
  static async open(o: SinkServerOptions): Promise<SinkServer> {
    const ledger = Ledger.open({ path: o.ledger, now: o.now })
    const server = new SinkServer(o, ledger)
    try {
      await server.#listen()
      return server
    } catch (cause) {
      ledger.close()
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new MeshError('start_failed', { detail: `cannot listen on ${o.host}:${o.port}: ${reason}`, cause })
    }
  }

  private constructor(o: SinkServerOptions, ledger: Ledger) {
    this.#o = o
    this.#ledger = ledger
    this.#server = createServer((incoming, answer) => void this.#serve(incoming, answer))
  }

  /** Where batches go. */
  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/v1/batches`
  }

  get ledger(): Ledger {
    return this.#ledger
  }

  /** Answers what is under way. */
  async close(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve)
      this.#server.closeIdleConnections()
    })
    this.#ledger.close()
  }

  async #listen(): Promise<void> {
    const { port, host } = this.#o
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(port, host, resolve)
    })
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    try {
      await this.#route(incoming, answer)
    } catch (error) {
      // Its sender went, or the answer is under way: there is nobody to tell.
      if (answer.headersSent || incoming.errored !== null) return void answer.destroy()
      const known = error instanceof MeshError ? error : new MeshError('internal_error', { cause: error })
      answer
        .writeHead(known.status, { 'content-type': 'application/problem+json' })
        .end(JSON.stringify(toProblem(known)))
      // A sender that is still at its body would take a connection that ends for a fault of the network.
      incoming.resume()
    }
  }

  async #route(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    this.#authenticate(incoming)
    const route = `${incoming.method} ${incoming.url}`
    switch (route) {
      case 'POST /v1/batches': {
        const batch = await readBatch(incoming)
        this.#verify(incoming, batch)
        send(answer, this.#ledger.store(batch.id, batch.rows))
        return
      }
      case 'GET /v1/batches':
        send(answer, this.#ledger.counts())
        return
      case 'GET /v1/rows': {
        answer.writeHead(200, { 'content-type': 'application/x-ndjson' })
        await pipeline(Readable.from(linesOf(this.#ledger)), answer)
        return
      }
      default:
        throw new MeshError('not_found', { detail: `There is no route ${route}` })
    }
  }

  #authenticate({ headers }: IncomingMessage): void {
    const { token } = this.#o
    if (token === null || equalTexts(headers.authorization ?? '', `Bearer ${token}`)) return
    throw new MeshError('unauthorized')
  }

  #verify({ headers }: IncomingMessage, batch: { readonly id: string; readonly body: Uint8Array }): void {
    const { signatureKey } = this.#o
    if (signatureKey === null) return
    const mac = createHmac('sha256', signatureKey).update(`${batch.id}.`).update(batch.body).digest('hex')
    if (equalTexts(String(headers['x-signature'] ?? ''), `sha256=${mac}`)) return
    throw new MeshError('unauthorized', { detail: 'The signature of the batch is not that of its body' })
  }
}

function send(answer: ServerResponse, document: unknown): void {
  answer.writeHead(200, { 'content-type': json }).end(JSON.stringify(document))
}

function* linesOf(ledger: Ledger): Iterable<string> {
  for (const row of ledger.rows()) yield `${row}\n`
}

/** In a time that does not tell where they differ. */
function equalTexts(one: string, other: string): boolean {
  const digest = (text: string) => createHmac('sha256', 'compare').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}
