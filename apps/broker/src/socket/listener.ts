/**
 * The WebSocket endpoint: lets connections in, within bounds, and watches them until they end.
 */
import type { IncomingMessage } from 'node:http'
import type { BlockList } from 'node:net'
import type { Duplex } from 'node:stream'
import type { NonceRegistry } from '@claudemesh/identity'
import { type DaemonFrame, limits } from '@claudemesh/protocol'
import { type WebSocket, WebSocketServer } from 'ws'
import { connectionsMax, handshakeMsMax, handshakesMax, watchIntervalMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Runtime } from '../runtime.ts'
import { Connection } from './connection.ts'
import { HandshakeThrottle } from './handshake-throttle.ts'
import { addressOf } from './peer-address.ts'

const subprotocol = 'claudemesh.v1'
export const socketPath = '/v1/ws'

/** That many certificates were verified in a handshake. Returns whether the peer's address may have more of that. */
export type SpendOnHandshake = (certificates: number) => boolean

export interface ListenerOptions {
  readonly nonces: NonceRegistry
  readonly runtime: Runtime
  readonly log: Log
  readonly metrics: Metrics
  readonly brokerVersion: string
  readonly proxies: BlockList
  readonly frame: (connection: Connection, frame: DaemonFrame, spend: SpendOnHandshake) => void
  /** Nothing more is taken from a connection or sent to it. */
  readonly left: (connection: Connection) => void
}

export class Listener {
  readonly #options: ListenerOptions
  readonly #server: WebSocketServer
  readonly #connections = new Set<Connection>()
  readonly #throttle: HandshakeThrottle
  readonly #watch: NodeJS.Timeout
  /** Connections whose hello or negotiation is still to come. */
  #greeting = 0
  #lastConnectedAt: number

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#lastConnectedAt = options.runtime.monotonicMs()
    this.#throttle = new HandshakeThrottle(() => options.runtime.monotonicMs())
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: limits.frameBytesMax,
      // Sealed bytes do not get smaller, and a compressor costs memory for every idle connection.
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
    })
    this.#watch = setInterval(() => this.#look(), watchIntervalMs)
  }

  /** Takes over an HTTP upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const address = addressOf(request, this.#options.proxies)
    const refusal = this.#judge(request, address)
    if (refusal !== null) {
      // A peer that is gone before it reads the refusal is no concern of anybody.
      socket.on('error', () => socket.destroy())
      socket.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#begin(webSocket, address))
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /** Milliseconds for which there has been no connection; 0 while there is one. */
  get idleMs(): number {
    return this.#connections.size > 0 ? 0 : this.#options.runtime.monotonicMs() - this.#lastConnectedAt
  }

  /** Ends every connection, saying that the broker restarts, and resolves when they are gone. */
  async close(): Promise<void> {
    clearInterval(this.#watch)
    const ended = [...this.#connections].map((connection) => connection.ended)
    for (const connection of this.#connections) connection.close('service_restart')
    await Promise.all(ended)
    this.#server.close()
  }

  /** @returns the status line of the refusal, with what else belongs into its head; null when it may go on */
  #judge(request: IncomingMessage, address: string): string | null {
    const path = request.url?.split('?')[0]
    if (path !== socketPath) return '404 Not Found'
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
    if (!offered.includes(subprotocol)) return '400 Bad Request'
    const isFull = this.#connections.size >= connectionsMax || this.#greeting >= handshakesMax
    if (isFull) return '503 Service Unavailable'
    const waitMs = this.#throttle.take(address)
    if (waitMs === 0) return null
    this.#options.metrics.counters.handshakes_throttled.inc()
    return `429 Too Many Requests\r\nretry-after: ${Math.ceil(waitMs / 1_000)}`
  }

  #begin(socket: WebSocket, address: string): void {
    const { runtime, log, nonces, frame } = this.#options
    const connection = new Connection({
      socket,
      nonce: nonces.issue(),
      runtime,
      log,
      events: {
        frame: (from, read) => frame(from, read, (certificates) => this.#throttle.spend(address, certificates)),
        invalidFrame: () => this.#options.metrics.counters.invalid_frames.inc(),
        greeted: () => {
          this.#greeting -= 1
          if (connection.isAdmitted) this.#throttle.give(address)
        },
        left: () => this.#options.left(connection),
        gone: () => {
          this.#connections.delete(connection)
          this.#lastConnectedAt = runtime.monotonicMs()
        },
      },
    })
    this.#connections.add(connection)
    this.#greeting += 1
    connection.send({
      type: 'challenge',
      nonce: connection.nonce,
      broker_time: runtime.now(),
      broker_version: this.#options.brokerVersion,
    })
  }

  /** Ends what is overdue, and asks those that are silent whether they are still there. */
  #look(): void {
    const now = this.#options.runtime.monotonicMs()
    for (const connection of this.#connections) {
      if (now - connection.heardAt > limits.silenceMsMax) connection.terminate()
      else if (connection.isGreeting && now - connection.openedAt > handshakeMsMax) {
        connection.close('unauthenticated', { kind: 'handshake_timeout' })
      } else connection.pingIfSilent(now)
    }
  }
}
