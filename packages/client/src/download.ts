/**
 * Bytes that the daemon serves.
 *
 * 1. They are compared with the length and the SHA-256 that were announced; who reads to the end without an error has the
 *    right ones. The daemon itself withholds the end of bytes that are not.
 * 2. A connection that breaks on the way is made again from where it broke, as long as that brings more bytes: a daemon
 *    that restarts costs nothing, and one that refuses to go on says why.
 */
import { createHash, type Hash } from 'node:crypto'
import { MeshError } from './protocol.ts'
import type { Call, OpenStream, Transport } from './transport.ts'

export interface Download {
  /** The entity tag without its quotes: a content address. */
  readonly address: string
  /** Null when the daemon does not announce it. */
  readonly sizeBytes: number | null
  readonly mediaType: string
  /** To be read once. Throws MeshError. */
  readonly bytes: AsyncIterable<Uint8Array>
}

export interface DownloadRequest {
  readonly path: string
  readonly signal?: AbortSignal | undefined
}

/** A daemon reads from its disk within this, or it is stuck. */
const silenceMs = 60_000

/** @throws MeshError, or the reason of the signal */
export async function openDownload(transport: Transport, request: DownloadRequest): Promise<Download> {
  const stream = await transport.open(callOf(request, {}))
  const length = stream.header('content-length')
  return {
    address: (stream.header('etag') ?? '').replaceAll('"', ''),
    sizeBytes: length === null ? null : Number(length),
    mediaType: stream.header('content-type') ?? 'application/octet-stream',
    bytes: readChecked(transport, request, stream),
  }
}

async function* readChecked(
  transport: Transport,
  request: DownloadRequest,
  first: OpenStream,
): AsyncGenerator<Uint8Array> {
  const announced = first.header('repr-digest')
  const tag = first.header('etag')
  const hash = createHash('sha256')
  let stream = first
  let count = 0
  for (;;) {
    const before = count
    try {
      for await (const chunk of stream.chunks) {
        hash.update(chunk)
        count += chunk.length
        yield chunk
      }
      break
    } catch (cause) {
      request.signal?.throwIfAborted()
      const failure = transport.failure(cause)
      if (tag === null || (stream !== first && count === before)) throw failure
    } finally {
      stream.close()
    }
    const range = { range: `bytes=${count}-`, 'if-range': tag }
    stream = await transport.open(callOf(request, count === 0 ? {} : range))
    if (count > 0 && stream.status !== 206) {
      stream.close()
      throw new MeshError('daemon_unreachable', { detail: 'the connection ended early, and could not be resumed' })
    }
  }
  checkDigest(announced, hash)
}

function callOf(request: DownloadRequest, headers: Readonly<Record<string, string>>): Call {
  return { method: 'GET', ...request, headers: { accept: '*/*', ...headers }, repeatable: true, patienceMs: silenceMs }
}

/** @param announced as RFC 9530 writes it; null: nothing to compare with */
function checkDigest(announced: string | null, hash: Hash): void {
  const expected = /sha-256=:([A-Za-z0-9+/=]+):/.exec(announced ?? '')?.[1]
  if (expected === undefined || hash.digest('base64') === expected) return
  throw new MeshError('digest_mismatch', { detail: 'the bytes that arrived are not those that the daemon announced' })
}
