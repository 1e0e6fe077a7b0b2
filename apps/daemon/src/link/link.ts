/**
 * The link to the broker: one connection at a time, made again when it ends, for as long as that can help.
 *
 * 1. Each `opened` is followed by exactly one `closed`, and what was asked on a connection ends with it.
 * 2. What follows the end of a connection is decided by the table of close codes: again after a random delay, again
 *    after a delay that grows because another host uses the identity (05 §2), or never.
 * 3. Nothing that a broker sends can end the process; only a close code that says so ends the link.
 *
 * It keeps nothing: everything it loses is sent or delivered again from the tables of either side.
 */
import { originOf } from '@claudemesh/identity'
import {
  closeByCode,
  closeCodes,
  type DeliveryOutcome,
  MeshError,
  type Operation,
  type RequestParams,
  type RequestResult,
  type SendItem,
} from '@claudemesh/protocol'
import { readCloseKind, readCloseReason } from './close-reason.ts'
import { describeEnd } from './connection.ts'
import type { FatalExit, LinkOptions, LinkStatus } from './link-options.ts'
import { Patience } from './patience.ts'
import { Session, type SessionEnd } from './session.ts'
import { LinkLife } from './states.ts'
import { type LinkTimings, linkTimings } from './timings.ts'

export type { FatalExit, LinkHandlers, LinkOptions, LinkStatus } from './link-options.ts'

export class Link {
  readonly #options: LinkOptions
  readonly #timings: LinkTimings
  readonly #origin: string
  readonly #instanceId: string
  readonly #patience: Patience
  readonly #life: LinkLife
  #session: Session | null = null
  #restTimer: NodeJS.Timeout | null = null
  #stopping: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null
  #lastError: string | null = null
  /** By the monotonic clock; null before the start, and for good after the first connection. */
  #startingUntil: number | null = null
  #refused: string | null = null
  #brokerVersion: string | null = null
  #malformed = 0

  /** @throws MeshError `config_invalid` when the URL is none of a broker */
  constructor(options: LinkOptions) {
    this.#options = options
    this.#timings = { ...linkTimings, ...options.timings }
    this.#origin = originOf(options.url)
    this.#instanceId = options.runtime.nextId()
    this.#patience = new Patience({ timings: this.#timings, random: options.runtime.random })
    this.#life = new LinkLife(options.log)
  }

  /** Connects, and keeps connected until `stop`. */
  start(): void {
    this.#startingUntil = this.#options.runtime.monotonicMs() + this.#timings.startMsMax
    this.#dial()
  }

  /** Ends the connection in good order and does not come back. */
  stop(): Promise<void> {
    if (this.#stopping !== null) return this.#stopping.promise
    this.#stopping = createGate()
    if (this.#session === null) this.#finishStop()
    else this.#session.close({ code: closeCodes.normal.code, reason: 'the daemon stops' })
    return this.#stopping.promise
  }

  /** Says hello anew, because who we are has changed. Without a connection the next one does. */
  renew(): void {
    this.#session?.close({ code: closeCodes.normal.code, reason: 'a new hello follows' })
  }

  status(): LinkStatus {
    const { state } = this.#life
    const session = this.#session
    return {
      state,
      connected: state === 'open',
      broker_url: this.#options.url,
      connected_since: session?.openSince ?? null,
      round_trip_ms: session?.roundTripMs ?? null,
      last_error: state === 'open' ? null : this.#lastError,
      broker_version: session?.brokerVersion ?? this.#brokerVersion,
      conflict: this.#patience.conflict(session?.openMs ?? 0),
      refused: state === 'open' ? null : this.#refused,
      is_starting: this.#isStarting,
      malformed_frames: this.#malformed,
    }
  }

  get #isStarting(): boolean {
    const { state } = this.#life
    if (this.#startingUntil === null || this.#refused !== null) return false
    if (state === 'open' || state === 'conflicted' || state === 'failed') return false
    return this.#options.runtime.monotonicMs() < this.#startingUntil
  }

  /**
   * Sends messages, in order.
   *
   * @returns false when the link is not open or its socket is full; then they are to be sent again
   */
  transmit(items: readonly SendItem[]): boolean {
    return this.#session?.isWritable === true && this.#session.sendItems('send', items)
  }

  /**
   * Acknowledges deliveries and receipts.
   *
   * @returns false when the link is not open; then the broker delivers them again
   */
  acknowledge(items: readonly { delivery_id: string; outcome: DeliveryOutcome }[]): boolean {
    return this.#session?.sendItems('deliver_ack', items) === true
  }

  /**
   * Asks the broker.
   *
   * @throws MeshError of the response's code, `timeout`, or `broker_unavailable` without an open connection
   */
  request<O extends Operation>(op: O, params: RequestParams<O>): Promise<RequestResult<O>> {
    return this.#session?.request(op, params) ?? Promise.reject(new MeshError('broker_unavailable'))
  }

  #dial(): void {
    this.#session = new Session({
      link: this.#options,
      timings: this.#timings,
      life: this.#life,
      origin: this.#origin,
      instanceId: this.#instanceId,
      onMalformed: () => {
        this.#malformed += 1
      },
      onEnd: (end) => this.#onEnd(end),
    })
  }

  #onEnd(end: SessionEnd): void {
    this.#brokerVersion = this.#session?.brokerVersion ?? this.#brokerVersion
    this.#session = null
    this.#patience.noteEnd({ openMs: end.openMs ?? 0, wasUseful: end.wasUseful })
    if (end.openMs !== null) this.#startingUntil = null
    const reason = describeEnd(end)
    const proceed = this.#decide(end, reason)
    if (end.openMs !== null) this.#options.handlers.closed(reason)
    proceed()
  }

  /** Enters the state that follows an end. @returns what is left to do when everybody has been told of it */
  #decide(end: SessionEnd, reason: string): () => void {
    const { handlers, log, onUnreachable, runtime } = this.#options
    if (this.#stopping !== null) return () => this.#finishStop()
    this.#lastError = reason
    this.#refused = refusalOf(end)
    const definition = closeByCode(end.code)
    const exit = end.refusal ?? (definition?.after === 'exit' ? toExit(definition, end) : null)
    if (exit !== null) {
      this.#life.enter('failed')
      log.error({ ...exit }, 'link_failed')
      return () => handlers.fatal(exit)
    }
    if (definition?.after === 'wait') {
      const { code, name } = definition
      const delayMs = this.#patience.nextConflictDelay({ code, name, since: runtime.now() })
      this.#rest('conflicted', { reason, delayMs })
    } else {
      this.#rest('waiting', { reason, delayMs: this.#patience.nextDelay(end.retryAfterMs) })
    }
    return end.wasReached ? () => undefined : onUnreachable
  }

  #rest(state: 'waiting' | 'conflicted', o: { readonly reason: string; readonly delayMs: number }): void {
    this.#life.enter(state, { reason: o.reason, delay_ms: o.delayMs })
    this.#restTimer = setTimeout(() => this.#dial(), o.delayMs)
  }

  #finishStop(): void {
    if (this.#restTimer !== null) clearTimeout(this.#restTimer)
    if (this.#life.state !== 'stopped') this.#life.enter('stopped')
    this.#stopping?.resolve()
  }
}

/** Why the broker did not accept the hello; null when the connection ended in another way. */
function refusalOf(end: SessionEnd): string | null {
  const { code, name } = closeCodes.unauthenticated
  return end.code === code ? (readCloseKind(end.reason) ?? name) : null
}

function toExit(definition: { readonly code: number; readonly name: string }, end: SessionEnd): FatalExit {
  return { code: definition.code, name: definition.name, reason: readCloseReason(end.reason) }
}

function createGate(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((open) => {
    resolve = open
  })
  return { promise, resolve }
}
