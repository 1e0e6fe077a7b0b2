/**
 * One WebSocket connection of one daemon: its state, its bounds, its end. What frames mean is for dispatch.ts.
 *
 * 1. Whatever the peer sends, nothing worse happens than the end of this connection.
 * 2. A frame reaches its handler only in a state that takes it; see states.ts.
 * 3. What the broker holds for a peer is bounded: beyond the window of unanswered frames its socket is not read, beyond
 *    the bound of unread bytes it is closed.
 */
import {
  type BrokerFrame,
  type CloseName,
  type ConnectionOptions,
  closeCodes,
  type DaemonFrame,
  limits,
  readDaemonFrame,
} from '@claudemesh/protocol'
import type { RawData, WebSocket } from 'ws'
import {
  closeMsMax,
  inflightBytesMax,
  inflightMessagesMax,
  inflightRequestsMax,
  invalidFramesMax,
  outgoingBytesHigh,
  outgoingBytesMax,
} from '../limits.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import type { MeshSettings } from '../settings.ts'
import type { MemberKey } from '../store/rows.ts'
import { type CloseReason, formatCloseReason } from './close-reason.ts'
import { addCosts, type FrameCost } from './frame-cost.ts'
import { assertMove, type ConnectionState, framesTaken } from './states.ts'
import { Turns } from './turns.ts'

/** The member that a connection was admitted as. */
export interface Identity extends MemberKey {
  readonly settings: MeshSettings
  readonly options: ConnectionOptions
}

export interface ConnectionEvents {
  /** A frame that the state takes. */
  readonly frame: (connection: Connection, frame: DaemonFrame) => void
  readonly invalidFrame: () => void
  /** Hello and negotiation are over, one way or the other. Comes once. */
  readonly greeted: () => void
  /** Nothing more is taken from it or sent to it, though its socket may linger. Comes once. */
  readonly left: () => void
  /** Its socket is gone. Comes once, last. */
  readonly gone: () => void
}

export class Connection {
  readonly connectionId: string
  /** The nonce of its challenge. */
  readonly nonce: string
  readonly openedAt: number
  /** Where the peer's calls wait for their turn. */
  readonly turns: Turns
  /** Resolves when the connection is gone. */
  readonly ended: Promise<void>
  readonly #events: ConnectionEvents
  readonly #socket: WebSocket
  readonly #runtime: Runtime
  readonly #log: Log
  #state: ConnectionState = 'challenged'
  #wasOpen = false
  #identity: Identity | null = null
  #invalidFrames = 0
  #unanswered: FrameCost = { messages: 0, bytes: 0, requests: 0 }
  #heardAt: number
  #pingedAt = 0
  /** How it ends once everything that was taken is answered; null: it goes on. */
  #finishing: CloseName | null = null

  constructor(options: {
    readonly socket: WebSocket
    readonly nonce: string
    readonly runtime: Runtime
    readonly log: Log
    readonly events: ConnectionEvents
  }) {
    const { socket, runtime, events } = options
    this.#events = events
    this.connectionId = runtime.nextId()
    this.nonce = options.nonce
    this.openedAt = runtime.monotonicMs()
    this.#heardAt = this.openedAt
    this.#socket = socket
    this.#runtime = runtime
    this.#log = options.log
    this.turns = new Turns(() => this.#state !== 'closing' && socket.bufferedAmount > outgoingBytesHigh)
    socket.on('message', (data, isBinary) => this.#read(data, isBinary))
    socket.on('pong', () => this.#hear())
    socket.on('ping', () => this.#hear())
    // A frame that is too large or not WebSocket at all: ws closes the connection itself.
    socket.on('error', (error) =>
      this.#log.info({ connection_id: this.connectionId, error: error.message }, 'socket_error'),
    )
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.#leave()
        events.gone()
        resolve()
      })
    })
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** @throws Error before the connection was admitted */
  get identity(): Identity {
    if (this.#identity === null) throw new Error('the connection has not been admitted')
    return this.#identity
  }

  get isAdmitted(): boolean {
    return this.#identity !== null
  }

  /** Whether hello and negotiation are still to be finished. */
  get isGreeting(): boolean {
    return this.#state !== 'open' && this.#state !== 'closing'
  }

  /** Whether it was ever open, also when it is not any more. */
  get wasOpen(): boolean {
    return this.#wasOpen
  }

  get meshId(): string {
    return this.identity.meshId
  }

  get memberId(): string {
    return this.identity.memberId
  }

  get outgoingBytes(): number {
    return this.#socket.bufferedAmount
  }

  /** When the peer was last heard of, by the monotonic clock. */
  get heardAt(): number {
    return this.#heardAt
  }

  /** The peer has said hello. */
  authenticate(): void {
    this.#move('authenticating')
  }

  /** The hello was good. */
  welcome(identity: Identity): void {
    this.#identity = identity
    this.#move('welcomed')
  }

  /** Features are agreed. */
  open(): void {
    this.#move('open')
    this.#wasOpen = true
    this.#log.info({ connection_id: this.connectionId, mesh_id: this.meshId, member_id: this.memberId }, 'open')
    this.#events.greeted()
  }

  /** @param written called when the network has taken the frame; not called when the connection ends before */
  send(frame: BrokerFrame, written?: () => void): void {
    this.sendText(JSON.stringify(frame), written)
  }

  /** As `send`, for a frame that is already text because it goes to many. */
  sendText(text: string, written?: () => void): void {
    if (this.#state === 'closing') return
    if (this.#socket.bufferedAmount > outgoingBytesMax) {
      this.close('slow_consumer')
      return
    }
    this.#socket.send(text, (error) => {
      this.turns.look()
      // An error here is the end of the connection, of which `close` tells.
      if (error === undefined || error === null) written?.()
    })
  }

  /** A daemon pings by itself, so that a live one is hardly ever asked. */
  pingIfSilent(now: number): void {
    if (this.#state === 'closing' || now - Math.max(this.#heardAt, this.#pingedAt) < limits.pingIntervalMs) return
    this.#pingedAt = now
    this.#socket.ping()
  }

  close(name: CloseName, reason: CloseReason = { kind: name }): void {
    if (this.#state === 'closing') return
    this.#log.info(
      { connection_id: this.connectionId, member_id: this.#identity?.memberId, ...reason, name },
      'closing',
    )
    this.#socket.close(closeCodes[name].code, formatCloseReason(reason))
    // To hear the peer's half of the close.
    if (this.#socket.isPaused) this.#socket.resume()
    this.#leave()
    setTimeout(() => this.#socket.terminate(), closeMsMax).unref()
  }

  /** Takes nothing more, answers what it has taken, then closes. */
  finish(name: CloseName): void {
    if (this.#state === 'closing') return
    this.#finishing = name
    this.turns.end()
    this.#socket.pause()
    this.#endIfAnswered()
  }

  /** Ends the connection without a word: the peer is gone, or hears nothing. */
  terminate(): void {
    this.#socket.terminate()
    this.#leave()
  }

  /** Takes a frame into the window of unanswered ones. Beyond its bounds the socket is not read until `answered`. */
  begin(cost: FrameCost): void {
    this.#unanswered = addCosts(this.#unanswered, cost, 1)
    if (this.#isFull()) this.#socket.pause()
  }

  answered(cost: FrameCost): void {
    this.#unanswered = addCosts(this.#unanswered, cost, -1)
    if (this.#finishing !== null) this.#endIfAnswered()
    else if (!this.#isFull() && this.#socket.isPaused) this.#socket.resume()
  }

  #endIfAnswered(): void {
    const { messages, requests } = this.#unanswered
    if (this.#finishing === null || messages > 0 || requests > 0) return
    this.close(this.#finishing)
  }

  /** Answers a frame that is not one, or comes at a time when it means nothing; the third ends the connection. */
  #refuseFrame(detail: string): void {
    this.#invalidFrames += 1
    this.#events.invalidFrame()
    this.send({ type: 'error', code: 'invalid_frame', detail })
    if (this.#invalidFrames >= invalidFramesMax) this.close('protocol_violation', { kind: 'invalid_frame', detail })
  }

  #isFull(): boolean {
    const { messages, bytes, requests } = this.#unanswered
    return messages > inflightMessagesMax || bytes > inflightBytesMax || requests > inflightRequestsMax
  }

  #read(data: RawData, isBinary: boolean): void {
    this.#hear()
    if (this.#state === 'closing') return
    const reading = isBinary ? binaryFrame : readDaemonFrame(data.toString())
    if (!reading.ok) {
      this.#refuseFrame(reading.detail)
    } else if (framesTaken[this.#state].includes(reading.frame.type)) {
      this.#events.frame(this, reading.frame)
    } else {
      this.#refuseFrame(`${reading.frame.type} is not taken while the connection is ${this.#state}`)
    }
  }

  #leave(): void {
    if (this.#state === 'closing') return
    const wasGreeting = this.isGreeting
    this.#move('closing')
    this.turns.end()
    if (wasGreeting) this.#events.greeted()
    this.#events.left()
  }

  #hear(): void {
    this.#heardAt = this.#runtime.monotonicMs()
  }

  #move(to: ConnectionState): void {
    assertMove(this.#state, to)
    this.#log.debug({ connection_id: this.connectionId, from: this.#state, to }, 'connection_state')
    this.#state = to
  }
}

const binaryFrame = { ok: false, detail: 'frames are text' } as const
