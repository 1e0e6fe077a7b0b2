/**
 * Bodies that are taken as the bytes they are, however many: read as they come, at the pace of whoever takes them. A client
 * that goes away, or sends nothing for too long, ends the reading with an error.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { rawBodyPauseMsMax, refusedBodyMsMax } from '../limits.ts'
import type { App } from './app.ts'
import { isContinueAwaited, liftBodyTime } from './body-time.ts'

/** In this scope every body is left unread, whatever its type. */
export function takeRawBodies(scope: App): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, _body, done) => done(null, undefined))
}

/**
 * The body of a request in such a scope.
 *
 * @throws MeshError `request_timeout`, `malformed_http` from the iteration
 */
export async function* rawBody(request: FastifyRequest, reply: FastifyReply): AsyncGenerator<Uint8Array> {
  liftBodyTime(request.raw)
  if (isContinueAwaited(request.raw)) reply.raw.writeContinue()
  // Not ended with the iteration: the answer to a body that is refused goes over the same connection.
  const chunks = request.raw.iterator({ destroyOnReturn: false })
  for (;;) {
    const { done, value } = await inTime(chunks.next())
    if (done === true) return
    yield value as Uint8Array
  }
}

/** Only the client is timed: whoever takes the bytes may need a while for each. */
async function inTime<T>(next: Promise<T>): Promise<T> {
  const patience = new AbortController()
  const over = delay(rawBodyPauseMsMax, undefined, { signal: patience.signal })
  try {
    return await Promise.race([next, over.then(() => Promise.reject(new MeshError('request_timeout')))])
  } catch (error) {
    if (error instanceof MeshError) throw error
    throw new MeshError('malformed_http', { detail: 'The connection broke before the body was complete', cause: error })
  } finally {
    patience.abort()
    over.catch(() => undefined)
  }
}

/** Aborts when the client has gone before it was answered. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new MeshError('malformed_http', { detail: 'The client has gone' }))
  })
  return gone.signal
}

/**
 * Answers before the body has come to its end: the client gets a while to see that, then the connection is closed. All of a
 * body that nobody wants would be read otherwise.
 */
export function endRefusedBody(request: FastifyRequest, reply: FastifyReply): void {
  reply.raw.once('finish', () => {
    if (request.raw.complete) return
    const { socket } = request.raw
    const timer = setTimeout(() => socket.destroy(), refusedBodyMsMax)
    request.raw.once('end', () => clearTimeout(timer))
    socket.once('close', () => clearTimeout(timer))
  })
}

/** How many bytes a body announces; null: it does not say. */
export function announcedLength(request: FastifyRequest): number | null {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (length !== undefined) return Number(length)
  return encoding === undefined ? 0 : null
}
