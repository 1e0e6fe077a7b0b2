/**
 * `/v1/blobs/<address>` (04 §8): the bytes of relayed blobs, each request with `Authorization: Bearer <ticket>`.
 *
 * | method | ticket   | does                                                                                          |
 * |--------|----------|-----------------------------------------------------------------------------------------------|
 * | PUT    | upload   | takes all of it: 201, or 200 when it was there                                                  |
 * | PATCH  | upload   | takes bytes from `Upload-Offset` on: 204 with the new one, 201 with the last byte              |
 * | HEAD   | either   | upload: `Upload-Offset` and `Upload-Complete` (RFC 8941 boolean); download: length and `ETag`   |
 * | GET    | download | gives all of it, or one range                                                                   |
 *
 * 1. The address is taken as it is written: nothing is decoded, and what does not have its form leads nowhere.
 * 2. Whatever moves too slowly ends; what arrived by then is kept.
 * 3. A refused request is answered with a problem document (RFC 9457), before its body is read.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { isErrorCode, MeshError, toProblem } from '@claudemesh/protocol'
import { refusedBodyMsMax } from '../limits.ts'
import type { Metrics } from '../metrics.ts'
import { type Relay, uploadKey } from '../relay/relay.ts'
import type { Direction, Grant } from '../relay/tickets.ts'
import { watchPace } from './pace.ts'
import { parseRange } from './range.ts'

export interface BlobRouteOptions {
  readonly relay: Relay
  readonly metrics: Metrics
  /** Told of failures that are not the client's. */
  readonly report: (error: unknown) => void
}

type Method = 'PUT' | 'PATCH' | 'HEAD' | 'GET'

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly grant: Grant
}

/** A request that ends without its grant; it may have lost its socket by then. */
interface Refused extends Omit<Exchange, 'grant'> {
  readonly socket: Socket
}

const addressPattern = /^\/v1\/blobs\/(blake3:[0-9a-f]{64})$/
const prefix = '/v1/blobs/'

const directions: Readonly<Record<Method, readonly Direction[]>> = {
  PUT: ['upload'],
  PATCH: ['upload'],
  HEAD: ['upload', 'download'],
  GET: ['download'],
}

/** Whether a request is for this family of routes. */
export function isBlobRequest({ url }: IncomingMessage): boolean {
  return url?.startsWith(prefix) === true
}

/** Answers one request. It never throws. */
export async function answerBlobRequest(
  options: BlobRouteOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('cache-control', 'no-store')
  response.setHeader('x-content-type-options', 'nosniff')
  const { socket } = request
  let direction: Direction | null = null
  try {
    const grant = readGrant(options.relay, request)
    direction = grant.direction
    const exchange = { request, response, grant }
    if (request.method === 'HEAD') await head(options, exchange)
    else await transfer(options, exchange)
  } catch (error) {
    const refusal = toRefusal(error)
    // Who goes away while bytes move breaks its own transfer.
    const isBroken = socket.destroyed
    if (refusal.status >= 500 && !isBroken && !nobodysFault.has(refusal.code)) options.report(error)
    const result = isBroken ? 'broken' : refusal.code
    if (direction !== null) options.metrics.counters.blob_transfers.inc({ direction, result })
    refuse({ request, response, socket }, refusal)
  }
}

const nobodysFault = new Set(['busy'])

function readGrant(relay: Relay, { url = '', method = '', headers }: IncomingMessage): Grant {
  const [, address] = addressPattern.exec(url) ?? []
  if (address === undefined)
    throw new MeshError('invalid_content_address', { detail: 'a blob is named by blake3:<hex>' })
  if (!Object.hasOwn(directions, method)) throw new MeshError('method_not_allowed')
  const [, ticket = null] = /^Bearer ([A-Za-z0-9_.-]{1,1024})$/.exec(headers.authorization ?? '') ?? []
  return relay.read(ticket, { address, directions: directions[method as Method] })
}

async function head({ relay }: BlobRouteOptions, { response, grant }: Exchange): Promise<void> {
  if (grant.direction === 'upload') {
    const { offset, stored } = await relay.uploads.status(uploadKey(grant))
    response.writeHead(200, { 'upload-length': grant.sizeBytes, ...progressHeaders({ offset, stored }) }).end()
    return
  }
  await relay.assertReadable(grant)
  response.writeHead(200, { ...contentHeaders(grant), 'content-length': grant.sizeBytes }).end()
}

async function transfer(options: BlobRouteOptions, exchange: Exchange): Promise<void> {
  const { relay, metrics } = options
  const { grant } = exchange
  const end = relay.transfers.begin(grant, grant.direction)
  try {
    if (grant.direction === 'upload') await upload(options, exchange)
    else await download(options, exchange)
    metrics.counters.blob_transfers.inc({ direction: grant.direction, result: 'done' })
  } finally {
    end()
  }
}

async function upload({ relay, metrics }: BlobRouteOptions, { request, response, grant }: Exchange): Promise<void> {
  const offset = request.method === 'PUT' ? 'restart' : readOffset(request)
  assertLength(request, grant.sizeBytes - (offset === 'restart' ? 0 : offset))
  const key = uploadKey(grant)
  if ((await relay.uploads.status(key)).stored) {
    response.writeHead(200, progressHeaders({ offset: grant.sizeBytes, stored: true })).end()
    drain(request, request.socket)
    return
  }
  const abort = new AbortController()
  let moved = 0
  const stopWatch = watchPace({
    moved: () => moved,
    // Once all of it is here, what lasts is our own work.
    tooSlow: () => {
      if (!request.complete) abort.abort(new MeshError('request_timeout', { detail: 'the bytes came too slowly' }))
    },
  })
  try {
    // Whoever stops reading leaves the connection as it is: the answer goes over it.
    const source = countBytes(request.iterator({ destroyOnReturn: false }), (bytes) => {
      moved += bytes
      metrics.counters.blob_bytes.inc({ direction: 'upload' }, bytes)
    })
    const progress = await relay.uploads.append(key, { offset, source, signal: abort.signal })
    response.writeHead(progress.stored ? 201 : 204, progressHeaders(progress)).end()
  } finally {
    stopWatch()
  }
}

async function download({ relay, metrics }: BlobRouteOptions, { request, response, grant }: Exchange): Promise<void> {
  const isCurrent = request.headers['if-range'] === undefined || request.headers['if-range'] === etagOf(grant)
  const asked = isCurrent ? parseRange(request.headers.range, grant.sizeBytes) : undefined
  const { range, body } = await relay.open(grant, asked)
  const [first, last] = range ?? [0, grant.sizeBytes - 1]
  const contentRange = range === null ? {} : { 'content-range': `bytes ${first}-${last}/${grant.sizeBytes}` }
  response.writeHead(range === null ? 200 : 206, {
    ...contentHeaders(grant),
    ...contentRange,
    'content-length': last - first + 1,
  })
  const { socket } = response
  const written = () => socket?.bytesWritten ?? 0
  const stopWatch = watchPace({ moved: written, tooSlow: () => socket?.destroy() })
  try {
    const counted = countBytes(body, (bytes) => metrics.counters.blob_bytes.inc({ direction: 'download' }, bytes))
    await pipeline(counted, response)
  } finally {
    stopWatch()
  }
}

async function* countBytes(source: AsyncIterable<Uint8Array>, count: (bytes: number) => void) {
  for await (const chunk of source) {
    count(chunk.length)
    yield chunk
  }
}

function readOffset({ headers }: IncomingMessage): number {
  const text = headers['upload-offset']
  if (typeof text === 'string' && /^[0-9]{1,15}$/.test(text)) return Number(text)
  throw new MeshError('invalid_request', { detail: 'Upload-Offset: a number of bytes is missing' })
}

/** A body that is too long as it says itself is not begun with. */
function assertLength({ headers, method }: IncomingMessage, rest: number): void {
  const length = headers['content-length'] === undefined ? null : Number(headers['content-length'])
  if (length === null) return
  if (length > rest || (method === 'PUT' && length !== rest)) {
    throw new MeshError('size_mismatch', { detail: `${length} bytes were announced, and ${rest} are missing` })
  }
}

function progressHeaders({ offset, stored }: { readonly offset: number; readonly stored: boolean }) {
  return { 'upload-offset': offset, 'upload-complete': stored ? '?1' : '?0' }
}

function contentHeaders(grant: Grant) {
  return { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes', etag: etagOf(grant) }
}

function etagOf({ address }: Grant): string {
  return `"${address}"`
}

function toRefusal(error: unknown): MeshError {
  return error instanceof MeshError && isErrorCode(error.code)
    ? error
    : new MeshError('internal_error', { cause: error })
}

function refuse({ request, response, socket }: Refused, error: MeshError): void {
  if (response.headersSent || socket.destroyed) {
    // A body that ends early must not look whole.
    socket.destroy()
    return
  }
  const { offset } = error.data
  const body = Buffer.from(JSON.stringify(toProblem(error)))
  response.writeHead(error.status, {
    'content-type': 'application/problem+json',
    'content-length': body.length,
    ...(typeof offset === 'number' ? { 'upload-offset': offset } : {}),
    ...(error.status === 429 || error.status === 503 ? { 'retry-after': '1' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
  drain(request, socket)
}

/** A connection that is closed on bytes that nobody read loses the answer with it. */
function drain(request: IncomingMessage, socket: Socket): void {
  if (request.complete) return
  const timer = setTimeout(() => socket.destroy(), refusedBodyMsMax)
  request.once('close', () => clearTimeout(timer))
  request.resume()
}
