/**
 * Moves rows from the outbox to the broker: claim a batch, transmit, settle what is answered (02 §5, §9).
 *
 * 1. Every row that left inflight here has been answered, or has become pending again because its answer did not come
 *    in time or its connection ended. An answer for anything else changes nothing.
 * 2. After a disconnect or a start everything waits until the rows that were inflight are due again, so that younger
 *    rows do not overtake them. The broker's rate limit holds all rows likewise: it is the member's, not the message's.
 * 3. No row is transmitted that is older than the age up to which the broker surely remembers its id.
 * 4. A disk that refuses costs time and is told of in `condition`. Any other error is a mistake of ours and ends the
 *    process: going on would leave every message behind it unsent, and nobody would know.
 *
 * All work is done in rounds, one at a time and synchronously. Everything that happens (an answer, a new row, a timer)
 * only asks for a round, so that what happens together is settled in one transaction. When it comes is rounds.ts, what goes
 * out in it transmitter.ts, what comes back answers.ts.
 */
import { type Destination, MeshError, type SendResult } from '@claudemesh/protocol'
import { sendBackoffMsBase, sendDrainMsMax, sendHoldSlackMs, sendRetryMs, sweepRowsMax } from '../limits.ts'
import type { Log } from '../log.ts'
import type { AcceptClaimOptions, ClaimOptions, Outbox } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'
import { type AnswerCounters, Answers } from './answers.ts'
import { backoffMs } from './backoff.ts'
import { msToNextRound, type RoundTime } from './next-round.ts'
import { Rounds } from './rounds.ts'
import { Transmissions } from './transmissions.ts'
import { type SendWindow, type Transmit, type TransmitOutcome, Transmitter } from './transmitter.ts'

export type { SendWindow } from './transmitter.ts'

export interface SenderOptions {
  readonly outbox: Outbox
  readonly seal: ClaimOptions['seal']
  readonly sealForKnown: AcceptClaimOptions['seal']
  readonly transmit: Transmit
  /** The broker says that a message was sealed for recipients that are not the present ones. */
  readonly onRecipientsStale: (destination: Destination) => void
  readonly runtime: Runtime
  readonly log: Log
  readonly maxAgeMs: () => number
}

/** What has happened since the process began. */
export interface SenderCounters extends AnswerCounters {
  readonly transmitted: number
  readonly expired: number
}

/** Why rows do not move: what the disk refused last. Gone with the next round that succeeds. */
export interface SendCondition {
  readonly code: string
  readonly detail: string
}

export class Sender {
  readonly #o: SenderOptions
  readonly #transmissions = new Transmissions()
  readonly #answers: Answers
  readonly #transmitter: Transmitter
  /** Destinations whose recipients have become known, while rows may still wait for that. */
  readonly #answeredDestinations = new Map<string, Destination>()
  #expired = 0
  #condition: SendCondition | null = null
  /** Null while there is no connection. */
  #window: SendWindow | null = null
  /** The connection ended, and its rows have not been taken back yet. */
  #mustRelease = false
  /** No claim before this time of the monotonic clock. */
  #holdUntil = 0
  #state: 'stopped' | 'running' | 'draining' = 'stopped'
  readonly #rounds: Rounds
  /** Rows that had been accepted when the last round was over. */
  #acceptedBefore = 0
  #onDrained: (() => void) | null = null

  constructor(options: SenderOptions) {
    this.#o = options
    const transmissions = this.#transmissions
    this.#answers = new Answers({ ...options, transmissions })
    this.#transmitter = new Transmitter({ ...options, transmissions, answers: this.#answers })
    this.#rounds = new Rounds({ run: () => this.#round(), monotonicMs: options.runtime.monotonicMs })
    options.outbox.claimWithAccepts({
      options: () => this.#optionsForAccepts(),
      claimed: (rows) => {
        this.#transmitter.take(rows)
        this.wake()
      },
    })
  }

  get counters(): SenderCounters {
    return { ...this.#answers.counters, transmitted: this.#transmitter.transmitted, expired: this.#expired }
  }

  /** Messages that are on their way, and their bytes in frames. */
  get inflight(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#transmissions.size, bytes: this.#transmissions.bytes }
  }

  /** Null while rows can be claimed and settled. */
  get condition(): SendCondition | null {
    return this.#condition
  }

  start(): void {
    this.#state = 'running'
    if (this.#o.outbox.recovered > 0) this.#hold(sendBackoffMsBase)
    this.wake()
  }

  /** Stops claiming, waits a moment for answers to what is on its way, and takes the rest back. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return
    this.#state = 'draining'
    if (this.#transmissions.size > 0 && this.#window !== null) await this.#drain()
    this.#state = 'stopped'
    this.#rounds.stop()
    try {
      this.#answers.settleArrived()
      this.#release()
    } catch (error) {
      if (!isRefusalOfDisk(error)) throw error
      // The next start takes back what is still inflight.
      this.#o.log.error({ err: error }, 'outbox_release_failed')
    }
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, sendDrainMsMax)
      this.#onDrained = () => {
        clearTimeout(timer)
        resolve()
      }
      this.wake()
    })
  }

  linkOpened(window: SendWindow): void {
    this.#window = window
    this.wake()
  }

  linkClosed(): void {
    if (this.#window === null) return
    this.#window = null
    this.#mustRelease = true
    this.#onDrained?.()
    this.wake()
  }

  /** Takes results of the broker, in any order. They are settled with all others that arrive in the same turn. */
  settleResults(results: readonly SendResult[]): void {
    this.#answers.take(results)
    this.wake()
  }

  /** The recipients of a destination are known, or known not to exist: rows that wait for that go on. */
  recipientsAnswered(destination: Destination): void {
    this.#answeredDestinations.set(`${destination.kind} ${destination.ref}`, destination)
    this.wake()
  }

  /** Asks for a round. Cheap, and never wrong to call. */
  wake(): void {
    if (this.#state !== 'stopped') this.#rounds.ask()
  }

  #round(): void {
    const { outbox, runtime } = this.#o
    // A database that failed is for the daemon to leave: it exits, and the next start recovers.
    if (outbox.broken) return
    const time = { now: runtime.now(), monotonicMs: runtime.monotonicMs() }
    try {
      this.#transmitTaken()
      const window = this.#windowToShare(time)
      if (window === null) this.#settleThenTransmit(time)
      else this.#afterTransmission(this.#transmitter.settleAndTransmitNext(window, time.now))
      this.#condition = null
    } catch (error) {
      if (!isRefusalOfDisk(error)) throw error
      this.#waitForDisk(error)
      return
    }
    if (this.#transmissions.size === 0) this.#onDrained?.()
    const { firstAnswerBy } = this.#transmissions
    const isConnected = this.#window !== null
    const waitMs = msToNextRound({ outbox, time, firstAnswerBy, isConnected, holdUntil: this.#holdUntil })
    if (waitMs !== null) this.#rounds.askIn(waitMs)
    this.#rest(time)
  }

  /** What accepts may claim by the commit that stores them: nothing while anything else has to happen first. */
  #optionsForAccepts(): AcceptClaimOptions | null {
    const { runtime, sealForKnown } = this.#o
    const time = { now: runtime.now(), monotonicMs: runtime.monotonicMs() }
    const window = this.#mustRelease ? null : this.#openWindow(time)
    return window === null ? null : { ...this.#transmitter.claimOptions(window, time.now), seal: sealForKnown }
  }

  #transmitTaken(): void {
    if (this.#window === null || this.#mustRelease) this.#transmitter.dropTaken()
    else if (this.#transmitter.transmitTaken(this.#window) === 'full') this.#hold(sendRetryMs)
  }

  /**
   * The window, when all that there is to do is to settle acceptances and to claim what comes next: then both are one
   * commit. Null when something has to happen in between.
   */
  #windowToShare(time: RoundTime): SendWindow | null {
    const window = this.#openWindow(time)
    if (window === null || this.#mustRelease || this.#answeredDestinations.size > 0) return null
    const { outbox, maxAgeMs } = this.#o
    if (!this.#answers.hasOnlyAcceptances || outbox.counts().pending === 0) return null
    if ((this.#transmissions.firstAnswerBy ?? Number.POSITIVE_INFINITY) <= time.monotonicMs) return null
    return (outbox.oldestPendingAt() ?? time.now) < time.now - maxAgeMs() ? null : window
  }

  #settleThenTransmit(time: RoundTime): void {
    const pauseMs = this.#answers.settleArrived()
    if (pauseMs > 0) this.#hold(pauseMs)
    this.#answers.settleOverdue(time.monotonicMs)
    if (this.#mustRelease) this.#release()
    this.#wakeAnswered()
    if (this.#o.outbox.counts().pending === 0) return
    const window = this.#openWindow(time)
    if (!this.#expire(time)) this.wake()
    else if (window !== null) this.#afterTransmission(this.#transmitter.transmitNext(window, time.now))
  }

  /** Nothing has changed, so the same is tried again. */
  #waitForDisk(error: MeshError): void {
    if (this.#condition?.code !== error.code) this.#o.log.error({ err: error }, 'outbox_round_failed')
    this.#condition = { code: error.code, detail: error.message }
    this.#hold(sendRetryMs)
    this.#rounds.askIn(sendRetryMs)
  }

  /** Takes back everything that was on its way when the connection ended. */
  #release(): void {
    const { outbox, runtime, log } = this.#o
    const delayMs = backoffMs(0, runtime.random())
    const lastError = 'disconnected: the connection ended before the broker answered'
    const rows = outbox.releaseInflight({ now: runtime.now(), delayMs, lastError })
    this.#transmissions.clear()
    this.#mustRelease = false
    if (rows === 0) return
    this.#hold(delayMs)
    log.info({ rows }, 'inflight_released')
  }

  /** Gives up a batch of rows that are too old. @returns whether none is left, so that the others may be claimed */
  #expire(time: RoundTime): boolean {
    const rows = this.#o.outbox.expire({ now: time.now, maxAgeMs: this.#o.maxAgeMs() })
    if (rows === 0) return true
    this.#expired += rows
    this.#o.log.warn({ rows }, 'outbox_rows_expired')
    return rows < sweepRowsMax
  }

  /** Before each claim, so that rows that waited come before younger ones. */
  #wakeAnswered(): void {
    for (const [key, destination] of this.#answeredDestinations) {
      if (!this.#o.outbox.recipientsAnswered(destination)) this.#answeredDestinations.delete(key)
    }
  }

  /** Null: nothing may be transmitted now. */
  #openWindow(time: RoundTime): SendWindow | null {
    return this.#state === 'running' && time.monotonicMs >= this.#holdUntil ? this.#window : null
  }

  #afterTransmission(outcome: TransmitOutcome): void {
    // It is full, or it has ended and is about to say so.
    if (outcome === 'full') this.#hold(sendRetryMs)
    if (outcome !== 'idle') this.wake()
  }

  // ---- timing ------------------------------------------------------------------------------------------------------

  /** Nobody waits for a turn where no row is left behind. */
  #rest(time: RoundTime): void {
    const { outbox, runtime } = this.#o
    const accepted = outbox.accepted - this.#acceptedBefore
    this.#acceptedBefore = outbox.accepted
    if (outbox.counts().pending > 0) this.#rounds.rest({ spentMs: runtime.monotonicMs() - time.monotonicMs, accepted })
  }

  #hold(ms: number): void {
    this.#holdUntil = Math.max(this.#holdUntil, this.#o.runtime.monotonicMs() + ms + sendHoldSlackMs)
  }
}

function isRefusalOfDisk(error: unknown): error is MeshError {
  return error instanceof MeshError && (error.code === 'insufficient_storage' || error.code === 'storage_failed')
}
