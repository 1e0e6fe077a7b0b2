/** The reference receiver of sinks, and what goes wrong between it and a sender. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { HistoryRow } from '@claudemesh/protocol'
import { onTestFinished } from 'vitest'
import { SinkServer, type SinkServerOptions } from '../../packages/sinks/src/index.ts'
import { memoryDirectory } from './scratch-directory.ts'

/** What becomes of one request: the receiver answers, it is answered for it, or the answer is lost behind a commit. */
export type Fault = { readonly status: number; readonly headers?: Record<string, string> } | 'answer-lost' | null

export interface SeenBatch {
  readonly id: string
  readonly bytes: number
}

/** A receiver behind a proxy that spoils requests as a test says. */
export class BatchReceiver {
  readonly #receiver: SinkServer
  readonly #proxy: Server
  /** One for each request to come; what is not there is not spoiled. */
  readonly faults: Fault[] = []
  /** Every request, also those that were spoiled. */
  readonly seen: SeenBatch[] = []

  static async start(o: Partial<SinkServerOptions> = {}): Promise<BatchReceiver> {
    const defaults = { host: '127.0.0.1', port: 0, token: null, signatureKey: null, now: Date.now }
    const receiver = await SinkServer.open({ ledger: join(memoryDirectory(), 'ledger.db'), ...defaults, ...o })
    const started = new BatchReceiver(receiver)
    await new Promise<void>((resolve) => started.#proxy.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => started.#stop())
    return started
  }

  private constructor(receiver: SinkServer) {
    this.#receiver = receiver
    this.#proxy = createServer((incoming, answer) => void this.#pass(incoming, answer))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#proxy.address() as AddressInfo).port}/v1/batches`
  }

  counts() {
    return this.#receiver.ledger.counts()
  }

  rows(): HistoryRow[] {
    return [...this.#receiver.ledger.rows()].map((line) => JSON.parse(line))
  }

  /** The numbers of all rows, in the order of arrival. */
  numbers(): number[] {
    return this.rows().map(({ meta }) => Number(meta?.['n']))
  }

  async #pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    this.seen.push({ id: String(incoming.headers['x-batch-id']), bytes: body.length })
    const fault = this.faults.shift() ?? null
    if (fault !== null && fault !== 'answer-lost') {
      answer.writeHead(fault.status, fault.headers).end()
      return
    }
    const forwarded = request(this.#receiver.url, { method: 'POST', headers: incoming.headers }, (received) => {
      if (fault === 'answer-lost') {
        received.resume().on('end', () => answer.destroy())
        return
      }
      answer.writeHead(received.statusCode ?? 500, received.headers)
      received.pipe(answer)
    })
    forwarded.on('error', () => answer.destroy()).end(body)
  }

  async #stop(): Promise<void> {
    this.#proxy.closeAllConnections()
    await new Promise((resolve) => this.#proxy.close(resolve))
    await this.#receiver.close()
  }
}

/** 1, 2, 3 and so on up to `last`. */
export function countTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
