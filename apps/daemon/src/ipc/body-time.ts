/** How long a client may take to send a request, and that some bodies may take as long as they need. */
import type { IncomingMessage } from 'node:http'
import { requestTimeoutMs } from '../limits.ts'
import { answerClientError } from './problem.ts'

const timers = new WeakMap<IncomingMessage, NodeJS.Timeout>()

/** From now on the body has a time. When it is over, so is the connection, with an answer that says why. */
export function boundBodyTime(request: IncomingMessage): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return
  const timer = setTimeout(() => {
    if (request.complete) return
    const late = Object.assign(new Error('the body was not complete in time'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
    answerClientError(late, request.socket)
  }, requestTimeoutMs)
  timers.set(request, timer)
  request.once('close', () => clearTimeout(timer))
}

/** Whoever reads the body watches over its time. */
export function liftBodyTime(request: IncomingMessage): void {
  clearTimeout(timers.get(request))
}

/** Whether the client waits for word before it sends its body. */
export function isContinueAwaited({ headers }: IncomingMessage): boolean {
  return headers.expect?.toLowerCase() === '100-continue'
}
