/**
 * Tells the broker what was marked read (02 §10).
 *
 * 1. The table of reports is the truth and a wake-up is a hint. A report is settled when the broker has answered that it
 *    keeps it; until then it goes out again, also after a crash. The broker takes each once.
 * 2. Reports travel in batches, one at a time, with a rest after each that is not full: a reader that marks one message
 *    after the other costs a commit per batch and not per message.
 * 3. A broker that fails is asked again after a growing delay. One that refuses, since it is older than the call, is not
 *    asked again on that connection.
 */
import { limits, MeshError, type Operation, type RequestParams, type RequestResult } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { backoffCeilingMs } from '../backoff.ts'
import type { ReadReport } from '../inbox/inbox.ts'
import { readReportBackoffMsBase, readReportBackoffMsCap, readReportPauseMs } from '../limits.ts'
import type { Log } from '../log.ts'

export interface ReadReporterOptions {
  readonly reads: { waiting(limit: number): readonly ReadReport[]; answered(throughSeq: number): void }
  readonly request: <O extends Operation>(op: O, params: RequestParams<O>) => Promise<RequestResult<O>>
  /** In [0, 1). */
  readonly random: () => number
  readonly log: Log
}

export class ReadReporter {
  readonly #options: ReadReporterOptions
  /** `refused`: there is a connection, and nothing more is asked on it. */
  #link: 'closed' | 'open' | 'refused' | 'stopped' = 'closed'
  #state: 'idle' | 'asking' | 'resting' = 'idle'
  #isWoken = false
  #failures = 0
  #timer: NodeJS.Timeout | null = null

  constructor(options: ReadReporterOptions) {
    this.#options = options
  }

  linkOpened(): void {
    if (this.#link === 'stopped') return
    this.#link = 'open'
    this.#failures = 0
    this.#endRest()
    this.wake()
  }

  linkClosed(): void {
    if (this.#link !== 'stopped') this.#link = 'closed'
  }

  /** Asks nothing more; what is under way is left unsettled and goes out again after the next start. */
  async stop(): Promise<void> {
    this.#link = 'stopped'
    this.#endRest()
  }

  /** There may be something to report. */
  wake(): void {
    this.#isWoken = true
    if (this.#link === 'open' && this.#state === 'idle') void this.#round()
  }

  async #round(): Promise<void> {
    this.#isWoken = false
    this.#state = 'asking'
    const restMs = await this.#reportBatch()
    this.#state = 'idle'
    if (this.#link === 'stopped') return
    this.#state = 'resting'
    this.#timer = setTimeout(() => {
      this.#endRest()
      if (this.#isWoken) this.wake()
    }, restMs)
  }

  #endRest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#state === 'resting') this.#state = 'idle'
  }

  /** @returns how long to rest after it */
  async #reportBatch(): Promise<number> {
    const { reads, request } = this.#options
    try {
      const batch = reads.waiting(limits.itemsPerFrameMax)
      const last = batch.at(-1)
      if (last === undefined) return 0
      const items = batch.map(({ brokerMessageId, at }) => ({ broker_message_id: brokerMessageId, at }))
      await request('receipts.read', { items })
      crashPoint('daemon.read.before-settle')
      // The store may be closed by now.
      if (this.#link === 'stopped') return 0
      reads.answered(last.seq)
      this.#failures = 0
      // A full batch was worth its commits, and there may be more.
      if (batch.length < limits.itemsPerFrameMax) return readReportPauseMs
      this.#isWoken = true
      return 0
    } catch (error) {
      // Nothing is lost by waiting: the reports stay where they are.
      if (!(error instanceof MeshError)) throw error
      return this.#noteFailure(error)
    }
  }

  /** @returns how long to rest after it */
  #noteFailure(error: MeshError): number {
    const { random, log } = this.#options
    if (!error.retryable) {
      if (this.#link === 'open') this.#link = 'refused'
      log.warn({ err: error }, 'read_reports_refused')
      return 0
    }
    log.debug({ err: error }, 'read_reports_not_taken')
    this.#isWoken = true
    this.#failures += 1
    const capMs = readReportBackoffMsCap
    const attempts = this.#failures - 1
    return Math.ceil(random() * backoffCeilingMs({ baseMs: readReportBackoffMsBase, capMs, attempts }))
  }
}
