/**
 * One WebSocket to the broker, from dialling to its end: frames in, frames out.
 *
 * 1. A frame reaches `onFrame` only when it fits its schema. What does not is counted, and whoever owns the
 *    connection hears of it.
 * 2. `onEnd` is called exactly once, and nothing is called after it.
 * 3. A connection that has been ended from this side takes no more frames, and its socket is torn down when the
 *    other side does not answer the close in time.
 */
import type { IncomingMessage } from 'node:http'
import {
  type BrokerFrame,
  closeByCode,
  type DaemonFrame,
  limits,
  parseRetryAfter,
  readBrokerFrame,
} from '@claudemesh/protocol'
import { WebSocket } from 'ws'
import { linkBufferedBytesMax } from '../limits.ts'
import type { Log } from '../log.ts'
import { readCloseReason } from './close-reason.ts'
import { KeepAlive } from './keep-alive.ts'
import type { LinkTimings } from './timings.ts'

const subprotocol = 'claudemesh.v1'

/** How a connection ended. */
export interface ConnectionEnd {
  /** Code of the close frame, 1006 when there was none. */
  readonly code: number
  readonly reason: string
  /** What the network said, when that ended it. */
  readonly error: string | null
  /** False when it never came to be open. */
  readonly wasReached: boolean
  /** Milliseconds that whoever answered instead asked to wait for before the next attempt; 0 when nobody did. */
  readonly retryAfterMs: number
}

export class Connection {
  readonly #socket: WebSocket
  readonly #timings: LinkTimings
  readonly #now: () => number
  readonly #monotonicMs: () => number
  readonly #log: Log
  readonly #onFrame: (frame: BrokerFrame) => void
  readonly #onMalformed: (count: number) => void
  #keepAlive: KeepAlive | null = null
  #closeTimer: NodeJS.Timeout | null = null
  #isEnding = false
  #wasReached = false
  #malformed = 0
  #retryAfterMs = 0
  #error: string | null = null

  constructor(o: {
    readonly url: string
    readonly timings: LinkTimings
    /** Milliseconds since the epoch. */
    readonly now: () => number
    readonly monotonicMs: () => number
    readonly log: Log
    readonly onReached: () => void
    readonly onFrame: (frame: BrokerFrame) => void
    /** With the number of frames of this connection that made no sense so far. */
    readonly onMalformed: (count: number) => void
    readonly onEnd: (end: ConnectionEnd) => void
  }) {
    this.#timings = o.timings
    this.#now = o.now
    this.#monotonicMs = o.monotonicMs
    this.#log = o.log
    this.#onFrame = o.onFrame
    this.#onMalformed = o.onMalformed
    this.#socket = new WebSocket(o.url, [subprotocol], {
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      handshakeTimeout: o.timings.handshakeStepMsMax,
      followRedirects: false,
    })
    this.#socket.on('open', () => {
      this.#wasReached = true
      this.#watch()
      o.onReached()
    })
    this.#socket.on('message', (data, isBinary) => this.#receive(isBinary ? null : data.toString()))
    this.#socket.on('unexpected-response', (_, response) => this.#refused(response))
    this.#socket.on('error', (error) => {
      // The first error is the cause; `close` follows and tells of it.
      this.#error ??= error.message
    })
    this.#socket.on('close', (code, reason) => {
      this.#stopTimers()
      const text = reason.toString('utf8').toWellFormed()
      const [wasReached, retryAfterMs] = [this.#wasReached, this.#retryAfterMs]
      o.onEnd({ code, reason: text, error: this.#error, wasReached, retryAfterMs })
    })
  }

  get roundTripMs(): number | null {
    return this.#keepAlive?.roundTripMs ?? null
  }

  /** Whether the socket takes more: it is open and what was given to it before has gone out far enough. */
  get isWritable(): boolean {
    return this.#isOpen && this.#socket.bufferedAmount < linkBufferedBytesMax
  }

  /** @returns false when the connection is no longer open; then nothing was sent */
  send(frame: DaemonFrame): boolean {
    return this.sendText(JSON.stringify(frame))
  }

  /** Sends a frame that is already text. */
  sendText(frame: string): boolean {
    if (!this.#isOpen) return false
    this.#socket.send(frame)
    return true
  }

  /** Ends the connection from this side. Later calls change nothing. */
  end(close: { readonly code: number; readonly reason: string }): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#keepAlive?.stop()
    this.#closeTimer = setTimeout(() => this.#socket.terminate(), this.#timings.closeMsMax)
    this.#socket.close(close.code, close.reason)
  }

  /** Tears the socket down without a word: the other side is not there. */
  tearDown(cause: string): void {
    this.#isEnding = true
    this.#error ??= cause
    this.#socket.terminate()
  }

  /** Counts a frame that makes no sense, by its form or at its time. */
  refuse(detail: string): void {
    this.#malformed += 1
    this.#log.warn({ detail, count: this.#malformed }, 'frame_refused')
    this.#onMalformed(this.#malformed)
  }

  get #isOpen(): boolean {
    return !this.#isEnding && this.#socket.readyState === WebSocket.OPEN
  }

  /** An answer that makes no WebSocket: of a broker that is busy, or of a proxy before it. */
  #refused({ statusCode, headers }: IncomingMessage): void {
    this.#retryAfterMs = parseRetryAfter(headers['retry-after'] ?? null, this.#now()) ?? 0
    this.tearDown(`Unexpected server response: ${statusCode}`)
  }

  #receive(text: string | null): void {
    if (this.#isEnding) return
    const reading = text === null ? { ok: false as const, detail: 'a binary message' } : readBrokerFrame(text)
    if (reading.ok) this.#onFrame(reading.frame)
    else this.refuse(reading.detail)
  }

  #watch(): void {
    const { pingIntervalMs, silenceMsMax } = this.#timings
    this.#keepAlive = new KeepAlive({
      socket: this.#socket,
      monotonicMs: this.#monotonicMs,
      pingIntervalMs,
      silenceMsMax,
      onSilence: () => this.tearDown(`nothing was heard for ${silenceMsMax} ms`),
    })
  }

  #stopTimers(): void {
    this.#keepAlive?.stop()
    if (this.#closeTimer !== null) clearTimeout(this.#closeTimer)
  }
}

/** The end of a connection in one line for a person. */
export function describeEnd(end: ConnectionEnd): string {
  if (end.error !== null) return end.error
  const name = closeByCode(end.code)?.name ?? 'closed'
  const reason = readCloseReason(end.reason)
  return reason === '' ? `${end.code} ${name}` : `${end.code} ${name}: ${reason}`
}
