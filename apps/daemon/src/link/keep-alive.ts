/**
 * Finds out that a connection is dead although nobody said so (a half-open socket, a host asleep), and how long a
 * round trip takes. Anything that comes in counts as life; pings see to it that something does.
 */
import type { WebSocket } from 'ws'

export class KeepAlive {
  readonly #socket: WebSocket
  readonly #monotonicMs: () => number
  readonly #pinger: NodeJS.Timeout
  readonly #silence: NodeJS.Timeout
  #pingedAt: { readonly payload: string; readonly at: number } | null = null
  #count = 0
  #roundTripMs: number | null = null

  constructor(o: {
    readonly socket: WebSocket
    readonly monotonicMs: () => number
    readonly pingIntervalMs: number
    readonly silenceMsMax: number
    readonly onSilence: () => void
  }) {
    this.#socket = o.socket
    this.#monotonicMs = o.monotonicMs
    this.#pinger = setInterval(() => this.#ping(), o.pingIntervalMs)
    this.#silence = setTimeout(o.onSilence, o.silenceMsMax)
    this.#socket.on('message', () => this.#silence.refresh())
    this.#socket.on('ping', () => this.#silence.refresh())
    this.#socket.on('pong', (payload) => this.#onPong(payload))
    this.#ping()
  }

  /** Of the last ping that was answered, in milliseconds. */
  get roundTripMs(): number | null {
    return this.#roundTripMs
  }

  stop(): void {
    clearInterval(this.#pinger)
    clearTimeout(this.#silence)
  }

  #ping(): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    this.#count += 1
    this.#pingedAt = { payload: String(this.#count), at: this.#monotonicMs() }
    this.#socket.ping(this.#pingedAt.payload)
  }

  #onPong(payload: Buffer): void {
    this.#silence.refresh()
    if (payload.toString() !== this.#pingedAt?.payload) return
    this.#roundTripMs = this.#monotonicMs() - this.#pingedAt.at
    this.#pingedAt = null
  }
}
