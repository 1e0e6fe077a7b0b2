/** The HTTP side: health for supervisors, metrics, and the upgrade to WebSocket. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { TlsMaterial } from './tls.ts'

export interface HttpOptions {
  /** Whether the database answers. */
  readonly isReady: () => Promise<boolean>
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** Takes requests for the bytes of blobs. @returns false when this is none */
  readonly blobs: (request: IncomingMessage, response: ServerResponse) => boolean
  readonly connected: () => void
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** How long a client may take to send the head of its request, the WebSocket upgrade included. */
const requestMsMax = 10_000

/** @param tls null: plain HTTP */
export function createHttpServer(options: HttpOptions, tls: TlsMaterial | null): Server {
  // A body may take as long as it moves: who takes one watches it, and for all others the connection ends with the answer.
  const bounds = { requestTimeout: 0, headersTimeout: requestMsMax, connectionsCheckingInterval: 5_000 }
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    if (options.blobs(request, response)) return
    if (hasBody(request)) response.shouldKeepAlive = false
    answer(options, request).then(
      (found) => write(response, found),
      () => write(response, json(500, { status: 'error' })),
    )
  }
  const server =
    tls === null
      ? createServer(bounds, handle)
      : createTlsServer({ ...bounds, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: requestMsMax }, handle)
  server.on('connection', options.connected)
  server.on('upgrade', options.upgrade)
  return server
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

async function answer(options: HttpOptions, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return json(405, { status: 'method_not_allowed' })
  switch (request.url?.split('?')[0]) {
    case '/healthz':
      return json(200, { status: 'ok' })
    case '/readyz':
      return (await options.isReady()) ? json(200, { status: 'ok' }) : json(503, { status: 'database_unavailable' })
    case '/metrics': {
      const { contentType, text } = await options.metrics()
      return { status: 200, contentType, body: text }
    }
    default:
      return json(404, { status: 'not_found' })
  }
}

function json(status: number, body: Record<string, unknown>): Answer {
  return { status, contentType: 'application/json', body: JSON.stringify(body) }
}

function write(response: ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }).end(body)
}
