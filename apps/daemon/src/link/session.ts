/**
 * One connection to the broker as the link uses it: the handshake, then messages and requests, then the end.
 *
 * 1. Messages travel only in state `open`: after the hello was accepted and the features were agreed on.
 * 2. Each step of the handshake is over in time, or the connection is.
 * 3. Frames of a wrong form or at a wrong time are counted and change nothing; after the third the connection is
 *    closed with 1008. Answers that come twice, late or to nothing we asked change nothing either.
 * 4. `onEnd` is called exactly once, and nothing of this connection happens after it.
 */
import {
  type BrokerFrame,
  closeCodes,
  type Frame,
  limits,
  MeshError,
  type NegotiationRefusal,
  type Operation,
  type RequestParams,
  type RequestResult,
} from '@claudemesh/protocol'
import { malformedFramesMax } from '../limits.ts'
import { writeBatches } from './batches.ts'
import { writeCloseReason } from './close-reason.ts'
import { Connection, type ConnectionEnd } from './connection.ts'
import { judgeNegotiation, writeHello, writeNegotiation } from './handshake.ts'
import type { FatalExit, LinkLimits, LinkOptions } from './link-options.ts'
import { Requests } from './requests.ts'
import { expectedIn, type LinkLife } from './states.ts'
import type { LinkTimings } from './timings.ts'

export interface SessionOptions {
  readonly link: LinkOptions
  readonly timings: LinkTimings
  readonly life: LinkLife
  /** Of the address that is dialled. */
  readonly origin: string
  readonly instanceId: string
  readonly onMalformed: () => void
  readonly onEnd: (end: SessionEnd) => void
}

/** How a session ended. */
export interface SessionEnd extends ConnectionEnd {
  /** How long it was open, in milliseconds; null when it never was. */
  readonly openMs: number | null
  /** Whether messages or answers about them came over it. */
  readonly wasUseful: boolean
  /** Set when we ended it for good. */
  readonly refusal: FatalExit | null
}

export class Session {
  readonly #options: SessionOptions
  readonly #connection: Connection
  readonly #requests = new Requests()
  #offered: LinkLimits | null = null
  #openedAt: { readonly time: number; readonly monotonicMs: number } | null = null
  #refusal: FatalExit | null = null
  #stepTimer: NodeJS.Timeout | null = null
  #brokerVersion: string | null = null
  #wasUseful = false

  /** Begins to connect. */
  constructor(options: SessionOptions) {
    const { link, timings, life } = options
    this.#options = options
    life.enter('connecting')
    this.#connection = new Connection({
      url: link.url,
      timings,
      now: link.runtime.now,
      monotonicMs: link.runtime.monotonicMs,
      log: link.log,
      onReached: () => this.#enterStep('awaiting_challenge'),
      onFrame: (frame) => this.#take(frame),
      onMalformed: (count) => this.#onMalformed(count),
      onEnd: (end) => this.#onEnd(end),
    })
  }

  /** As the broker gave it in its challenge. */
  get brokerVersion(): string | null {
    return this.#brokerVersion
  }

  /** When it became open; null before. */
  get openSince(): number | null {
    return this.#openedAt?.time ?? null
  }

  /** How long it has been open, in milliseconds; null before. */
  get openMs(): number | null {
    if (this.#openedAt === null) return null
    return this.#options.link.runtime.monotonicMs() - this.#openedAt.monotonicMs
  }

  get roundTripMs(): number | null {
    return this.#connection.roundTripMs
  }

  /** Whether the socket takes more than acknowledgements at the moment. */
  get isWritable(): boolean {
    return this.#connection.isWritable
  }

  /** @returns false when it is not open */
  sendItems(type: 'send' | 'deliver_ack', items: readonly object[]): boolean {
    if (this.#options.life.state !== 'open' || this.#offered === null) return false
    for (const frame of writeBatches(type, items, this.#offered.frameBytesMax)) {
      if (!this.#connection.sendText(frame)) return false
    }
    return true
  }

  /** @throws MeshError of the response's code, `timeout`, `broker_unavailable` or `daemon_busy` */
  request<O extends Operation>(op: O, params: RequestParams<O>): Promise<RequestResult<O>> {
    if (this.#options.life.state !== 'open') return Promise.reject(new MeshError('broker_unavailable'))
    const send = (frame: Frame<'request'>) => this.#connection.isWritable && this.#connection.send(frame)
    const timeoutMs = this.#options.timings.requestMsMax + waitAskedFor(params)
    return this.#requests.call({ op, params, timeoutMs, send })
  }

  /** Ends it from this side. Later calls change nothing. */
  close(close: { readonly code: number; readonly reason: string }): void {
    if (this.#options.life.state === 'closing') return
    this.#stopStepTimer()
    this.#options.life.enter('closing')
    this.#connection.end(close)
  }

  #take(frame: BrokerFrame): void {
    const { life, link } = this.#options
    const expected = expectedIn[frame.type]
    if (expected !== 'any' && expected !== life.state) {
      this.#connection.refuse(`${frame.type} in state ${life.state}`)
      return
    }
    try {
      this.#dispatch(frame)
    } catch (error) {
      // What a handler could not store was not acknowledged either. A new connection brings it again, after a delay.
      if (!(error instanceof MeshError)) throw error
      link.log.error({ type: frame.type, err: error }, 'frame_not_handled')
      this.close({ code: closeInternalError, reason: error.code })
    }
  }

  #dispatch(frame: BrokerFrame): void {
    const { handlers, log } = this.#options.link
    switch (frame.type) {
      case 'challenge':
        this.#answerChallenge(frame)
        break
      case 'welcome':
        this.#onWelcome(frame)
        break
      case 'feature_negotiation_response':
        this.#onNegotiated(frame)
        break
      case 'send_results':
        this.#wasUseful = true
        handlers.sendResults(frame.items)
        break
      case 'deliver':
        this.#wasUseful = true
        handlers.deliver(frame.items)
        break
      case 'receipts':
        this.#wasUseful = true
        handlers.receipts(frame.items)
        break
      case 'event':
        handlers.events(frame.items)
        break
      case 'response':
        this.#onResponse(frame)
        break
      case 'error':
        log.warn({ code: frame.code, detail: frame.detail }, 'broker_error')
        break
      default:
        frame satisfies never
    }
  }

  #answerChallenge({ nonce, broker_version: version }: Frame<'challenge'>): void {
    const { link, origin, instanceId } = this.#options
    const { daemonVersion, ephemeralTtlMs } = link
    const ephemeral = ephemeralTtlMs === null ? {} : { ephemeral_ttl_ms: ephemeralTtlMs }
    const options = { instance_id: instanceId, ...ephemeral }
    this.#brokerVersion = version
    this.#connection.send(writeHello({ identity: link.identity(), origin, nonce, options, daemonVersion }))
    this.#enterStep('greeting')
  }

  #onWelcome({ limits: offered }: Frame<'welcome'>): void {
    this.#offered = {
      inflightMessages: offered.inflight_messages,
      inflightBytes: offered.inflight_bytes,
      frameBytesMax: Math.min(offered.max_frame, limits.frameBytesMax),
    }
    this.#connection.send(writeNegotiation(this.#options.link.requireFeatures))
    this.#enterStep('negotiating')
  }

  #onNegotiated(frame: Frame<'feature_negotiation_response'>): void {
    const { life, link } = this.#options
    const outcome = judgeNegotiation(link.requireFeatures, frame)
    if (outcome === null) {
      this.#connection.refuse('feature_negotiation_response with parameters beyond all sense')
      return
    }
    if (!outcome.ok) {
      this.#refuse(outcome.refusal)
      return
    }
    if (this.#offered === null) throw new Error('features were agreed on before the broker said what it takes')
    const { agreement, warnings } = outcome
    this.#stopStepTimer()
    this.#openedAt = { time: link.runtime.now(), monotonicMs: link.runtime.monotonicMs() }
    life.enter('open')
    const { features } = agreement
    link.log.info({ broker_version: this.#brokerVersion, features, warnings }, 'negotiated')
    link.handlers.opened(agreement, this.#offered)
  }

  #refuse(refusal: NegotiationRefusal): void {
    const { code, name } = closeCodes[refusal.kind]
    this.#refusal = { code, name, reason: `${refusal.feature}: ${refusal.detail}` }
    this.close({ code, reason: writeCloseReason(refusal) })
  }

  #onResponse(frame: Frame<'response'>): void {
    const fault = this.#requests.settle(frame)
    if (fault !== null) this.#connection.refuse(fault)
  }

  #onMalformed(count: number): void {
    this.#options.onMalformed()
    if (count < malformedFramesMax) return
    this.close({ code: closeCodes.protocol_violation.code, reason: 'too many malformed frames' })
  }

  #onEnd(end: ConnectionEnd): void {
    this.#stopStepTimer()
    this.#requests.abandon()
    this.#options.onEnd({ ...end, openMs: this.openMs, wasUseful: this.#wasUseful, refusal: this.#refusal })
  }

  /** Enters a step of the handshake, which must be over in time. */
  #enterStep(state: 'awaiting_challenge' | 'greeting' | 'negotiating'): void {
    const { life, timings } = this.#options
    this.#stopStepTimer()
    life.enter(state)
    this.#stepTimer = setTimeout(() => {
      this.close({ code: closeCodes.protocol_violation.code, reason: `${state} took too long` })
    }, timings.handshakeStepMsMax)
  }

  #stopStepTimer(): void {
    if (this.#stepTimer !== null) clearTimeout(this.#stepTimer)
    this.#stepTimer = null
  }
}

/** How long a call has the broker wait before it answers. */
function waitAskedFor(params: RequestParams<Operation>): number {
  return 'wait_ms' in params ? params.wait_ms : 0
}

/** RFC 6455: we met a condition that kept us from going on. */
const closeInternalError = 1011
