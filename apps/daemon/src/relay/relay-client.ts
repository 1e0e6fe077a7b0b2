/**
 * Sealed blobs to the broker's relay and from it, over HTTP beside the link (04 §8).
 *
 * 1. Each transfer goes on from the byte that was reached, over as many connections, tickets and restarts of either side as it
 *    takes. It gives up after attempts in a row that moved nothing, and throws what the last one met.
 * 2. A ticket is asked for with each attempt, over the link: while that is down, nothing moves.
 * 3. What arrives is not trusted: it is no more than was asked for. Whether it is the right bytes is for whoever opens them.
 */
import { Readable } from 'node:stream'
import type { ContentAddress } from '@claudemesh/artifacts'
import { fromProblem, MeshError, type Operation, type RequestParams, type RequestResult } from '@claudemesh/protocol'
import { Agent, type Dispatcher } from 'undici'
import { relayAnswerMsMax, relayConnectionsMax, relayConnectMsMax } from '../limits.ts'
import type { Log } from '../log.ts'
import { Attempts } from './attempts.ts'

export interface RelayClientOptions {
  /** Of the broker, as the link dials it: `wss://host/v1/ws`. */
  readonly brokerUrl: string
  /** A correlated call over the link. */
  readonly request: <O extends Operation>(op: O, params: RequestParams<O>) => Promise<RequestResult<O>>
  /** Between two bytes of a blob that comes: longer ones end the connection. */
  readonly silenceMsMax: number
  /** From 0 up to 1. */
  readonly random: () => number
  readonly log: Log
}

interface Upload {
  readonly address: ContentAddress
  readonly sizeBytes: number
  /** Member ids. */
  readonly recipients: readonly string[]
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  /** The blob from a byte on, to its end; the same bytes whenever it is called. */
  readonly read: (start: number) => AsyncIterable<Uint8Array>
}

interface Download {
  readonly address: ContentAddress
  readonly sizeBytes: number
  /** The first byte that is wanted. */
  readonly start: number
}

interface Interruptible {
  readonly signal: AbortSignal
}

type Call = Pick<Dispatcher.RequestOptions, 'method' | 'headers' | 'body'> & {
  readonly address: ContentAddress
  readonly ticket: string
  readonly signal: AbortSignal
}

export class RelayClient {
  readonly #o: RelayClientOptions
  readonly #base: string
  readonly #agent: Agent

  constructor(o: RelayClientOptions) {
    this.#o = o
    this.#agent = new Agent({
      connections: relayConnectionsMax,
      connect: { timeout: relayConnectMsMax },
      headersTimeout: relayAnswerMsMax,
      bodyTimeout: o.silenceMsMax,
    })
    this.#base = o.brokerUrl.replace(/^ws/, 'http').replace(/\/(v1\/ws\/?)?$/, '')
  }

  /**
   * Uploads what the broker has not got yet. Fulfilled when all of it is durable there.
   *
   * @throws MeshError `blob_too_large`, `blob_quota_exceeded`, `blob_expired`, `relay_unavailable`, `broker_unavailable` …;
   *   what `read` throws; the reason of the signal
   */
  async upload(blob: Upload, { signal }: Interruptible): Promise<void> {
    const attempts = this.#attempts(blob.address, signal)
    const source = new Source(blob.read)
    for (;;) {
      try {
        await this.#uploadOnce({ ...blob, read: (start) => source.read(start) }, { attempts, signal })
        return
      } catch (error) {
        source.throwIfFailed()
        await attempts.failed(error)
      }
    }
  }

  /**
   * The bytes of a blob from `start` on, to its end.
   *
   * @throws MeshError `blob_not_found`: it is not there, or not for this member; `blob_expired`, `size_mismatch`,
   *   `relay_unavailable`, `broker_unavailable` …; the reason of the signal
   */
  async *download(blob: Download, { signal }: Interruptible): AsyncGenerator<Uint8Array, void> {
    const attempts = this.#attempts(blob.address, signal)
    for (let at = blob.start; at < blob.sizeBytes; ) {
      try {
        for await (const chunk of await this.#open({ ...blob, start: at }, signal)) {
          at += chunk.length
          if (at > blob.sizeBytes) throw tooMuch()
          attempts.reached(at)
          yield chunk
        }
        if (at < blob.sizeBytes) throw new MeshError('broker_unavailable', { detail: 'the answer ended early' })
      } catch (error) {
        await attempts.failed(error)
      }
    }
  }

  /** Tells the broker that this member has all of a blob. One that has ended already needs nothing. */
  async acknowledge(address: ContentAddress): Promise<void> {
    try {
      await this.#ask('blobs.acknowledge', { address })
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'blob_not_found') throw error
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  #attempts(address: ContentAddress, signal: AbortSignal): Attempts {
    const { random, log } = this.#o
    return new Attempts({ address, signal, random, log })
  }

  async #uploadOnce(
    { address, sizeBytes, recipients, expiresAt, read }: Upload,
    { attempts, signal }: { readonly attempts: Attempts; readonly signal: AbortSignal },
  ): Promise<void> {
    const { ticket, stored } = await this.#ask('blobs.upload', {
      address,
      size_bytes: sizeBytes,
      recipients: [...recipients],
      expires_at: expiresAt,
    })
    if (stored) return
    const head = await this.#call({ method: 'HEAD', address, ticket, signal })
    const offset = Number(head.headers['upload-offset'])
    await head.body.dump()
    if (!(Number.isSafeInteger(offset) && offset >= 0 && offset <= sizeBytes)) throw nonsense('an offset')
    attempts.reached(offset)
    const rest = sizeBytes - offset
    const answer = await this.#call({
      method: 'PATCH',
      ...{ address, ticket, signal },
      headers: { 'upload-offset': String(offset), 'content-length': String(rest) },
      body: rest === 0 ? null : Readable.from(read(offset), { objectMode: false }),
    })
    await answer.body.dump()
    if (answer.headers['upload-complete'] !== '?1') throw nonsense('an end')
  }

  async #open({ address, sizeBytes, start }: Download, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const { ticket } = await this.#ask('blobs.download', { address, size_bytes: sizeBytes })
    const headers = { range: `bytes=${start}-` }
    const { headers: about, body } = await this.#call({ method: 'GET', address, ticket, signal, headers })
    if (about['content-range'] === `bytes ${start}-${sizeBytes - 1}/${sizeBytes}`) return body
    await body.dump()
    throw nonsense('a range')
  }

  async #ask<O extends Operation>(op: O, params: RequestParams<O>): Promise<RequestResult<O>> {
    try {
      return await this.#o.request(op, params)
    } catch (error) {
      // A broker from before there was a relay does not know the call.
      if (error instanceof MeshError && error.code === 'not_found') throw new MeshError('relay_unavailable')
      throw error
    }
  }

  /** @throws MeshError of the answer; what the network says */
  async #call({ address, ticket, ...options }: Call): Promise<Dispatcher.ResponseData> {
    const { protocol, host, pathname } = new URL(`${this.#base}/v1/blobs/${address}`)
    const answer = await this.#agent.request({
      ...options,
      origin: `${protocol}//${host}`,
      path: pathname,
      headers: { ...options.headers, authorization: `Bearer ${ticket}` },
    })
    if (answer.statusCode < 300) return answer
    throw await toError(answer)
  }
}

/** What is uploaded: a failure of its own is not one of the way. */
class Source {
  readonly #read: (start: number) => AsyncIterable<Uint8Array>
  #failure: { readonly error: unknown } | null = null

  constructor(read: (start: number) => AsyncIterable<Uint8Array>) {
    this.#read = read
  }

  /** Whoever takes it may throw into it, when the connection breaks: that is no failure of the source. */
  async *read(start: number): AsyncGenerator<Uint8Array, void> {
    const chunks = this.#read(start)[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await chunks.next().catch((error: unknown) => this.#fail(error))
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await chunks.return?.()
    }
  }

  throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure.error
  }

  #fail(error: unknown): never {
    this.#failure = { error }
    throw error
  }
}

/** Without a body, as of a HEAD, the status says enough. */
const codeByStatus = { 401: 'ticket_invalid', 404: 'blob_not_found', 410: 'blob_expired' } as const

async function toError({ statusCode, body }: Dispatcher.ResponseData): Promise<MeshError> {
  const text = await readStart(body)
  const code = codeByStatus[statusCode as keyof typeof codeByStatus]
  try {
    return fromProblem(JSON.parse(text) as object)
  } catch {
    return new MeshError(code ?? 'broker_unavailable', { detail: `the relay answered ${statusCode}` })
  }
}

const problemBytesMax = 16 * 1024

/** What answers instead of the broker may send whatever it likes. */
async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > problemBytesMax) break
  }
  return Buffer.concat(chunks).toString()
}

function tooMuch(): MeshError {
  return new MeshError('invalid_frame', { detail: 'the broker sent more than was asked for' })
}

function nonsense(what: string): MeshError {
  return new MeshError('broker_unavailable', { detail: `the relay answered without ${what} that fits` })
}
