/**
 * Rows over HTTP: each chunk is one POST of lines of JSON (08 §3).
 *
 * 1. `X-Batch-Id` and `Idempotency-Key` are the id of the chunk: a receiver that knows it has the rows already and says so
 *    with 2xx. Whether an earlier attempt arrived need not be known here.
 * 2. Stored is what was answered with 2xx, and nothing else.
 * 3. 429 and 503 are a request for patience: the same chunk again, see `back-pressure.ts`.
 */
import { createHmac } from 'node:crypto'
import { MeshError, parseRetryAfter } from '@claudemesh/protocol'
import { readSecretReference } from '@claudemesh/storage'
import { Agent, request } from 'undici'
import { encodeRows } from '../row-lines.ts'
import { formatPartition } from '../row-source.ts'
import type { Runtime } from '../runtime.ts'
import type { ChunkLimits, Shipment, Sink } from '../sink.ts'
import { inlineWaitMsMax, waitMs } from './back-pressure.ts'
import { type Compression, compressorOf } from './compression.ts'

export interface ForwardOptions {
  /** `https://` or `http://` */
  readonly url: string
  readonly compression: Compression
  /** Where the token is found that goes as `Authorization: Bearer`; null: none goes. */
  readonly tokenRef: string | null
  /** Where the key is found that bodies are signed with; null: they are not. */
  readonly signatureKeyRef: string | null
  readonly runtime: Runtime
}

const chunkLimits: ChunkLimits = { rowsMax: 1000, bytesMax: 1024 * 1024, chunksMax: 64 }

/** How long a receiver may take to make a chunk durable. */
const answerMsMax = 60_000
const connectMsMax = 10_000

interface Answer {
  readonly status: number
  readonly retryAfterMs: number | null
}

export class ForwardSink implements Sink {
  readonly chunkLimits = chunkLimits
  readonly #o: ForwardOptions
  readonly #agent = new Agent({
    connect: { timeout: connectMsMax },
    headersTimeout: answerMsMax,
    bodyTimeout: answerMsMax,
  })

  constructor(o: ForwardOptions) {
    this.#o = o
  }

  async ship({ partition, chunk, rows }: Shipment, signal: AbortSignal): Promise<void> {
    const { compression, runtime } = this.#o
    const body = await compressorOf(compression)?.(Buffer.from(encodeRows(rows)))
    if (body === undefined)
      throw new MeshError('sink_refused', { detail: `This version of Node has no ${compression}` })
    const headers = await this.#headers({ batchId: chunk.batch_id, partition: formatPartition(partition), body })
    let waitedMs = 0
    for (let busy = 0; ; busy += 1) {
      const answer = await this.#post(headers, body, signal)
      if (answer.status >= 200 && answer.status < 300) return
      if (answer.status !== 429 && answer.status !== 503) throw refusal(answer.status)
      const patienceMs = waitMs({ busy, retryAfterMs: answer.retryAfterMs })
      waitedMs += patienceMs
      if (waitedMs > inlineWaitMsMax) {
        const detail = `The receiver is busy: it answered ${answer.status} ${busy + 1} times`
        throw new MeshError('sink_unavailable', { detail, data: { retry_after_ms: patienceMs } })
      }
      await runtime.sleep(patienceMs, signal)
    }
  }

  async lastExported(): Promise<number | null> {
    throw new MeshError('sink_not_listable', { detail: 'A receiver over HTTP does not say what it has' })
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #headers(o: { batchId: string; partition: string; body: Buffer }): Promise<Record<string, string>> {
    const { compression, tokenRef, signatureKeyRef } = this.#o
    const token = tokenRef === null ? null : await readSecret(tokenRef)
    const key = signatureKeyRef === null ? null : await readSecret(signatureKeyRef)
    return {
      'content-type': 'application/x-ndjson',
      'content-encoding': compression,
      'x-batch-id': o.batchId,
      'idempotency-key': o.batchId,
      'x-partition': o.partition,
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(key === null ? {} : { 'x-signature': `sha256=${signBatch(key, o.batchId, o.body)}` }),
    }
  }

  async #post(headers: Record<string, string>, body: Buffer, signal: AbortSignal): Promise<Answer> {
    try {
      const answer = await request(this.#o.url, { method: 'POST', headers, body, signal, dispatcher: this.#agent })
      await answer.body.dump()
      const retryAfter = answer.headers['retry-after']
      const now = this.#o.runtime.now()
      return {
        status: answer.statusCode,
        retryAfterMs: parseRetryAfter(typeof retryAfter === 'string' ? retryAfter : null, now),
      }
    } catch (cause) {
      signal.throwIfAborted()
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new MeshError('sink_unavailable', { detail: `The receiver cannot be reached: ${reason}`, cause })
    }
  }
}

/** HMAC-SHA-256, in hex, of the id of a chunk, a dot, and its body as it is sent. */
export function signBatch(key: string, batchId: string, body: Uint8Array): string {
  return createHmac('sha256', key).update(`${batchId}.`).update(body).digest('hex')
}

/** What may pass by itself is tried again by itself; what the receiver objects to is too, but is told of as such. */
function refusal(status: number): MeshError {
  const isPassing = status >= 500 || status === 408
  return new MeshError(isPassing ? 'sink_unavailable' : 'sink_refused', { detail: `The receiver answered ${status}` })
}

async function readSecret(reference: string): Promise<string> {
  try {
    return await readSecretReference(reference)
  } catch (cause) {
    throw new MeshError('sink_refused', { detail: `There is no secret at ${reference}`, cause })
  }
}
