/**
 * Settles what is on its way: by the answers that have arrived, or because none did in time.
 *
 * 1. Answers that wait together are one transaction. They are forgotten only after its commit, so that a disk that
 *    refuses costs nothing but time.
 * 2. Every id that is on its way is settled at most once; any other answer is counted and changes nothing.
 */
import type { Destination, SendResult } from '@claudemesh/protocol'
import { sendAnswerMsMax } from '../limits.ts'
import type { Log } from '../log.ts'
import { loggedTraceOfRow } from '../logged-trace.ts'
import type { Outbox, Settlement, SettleOutcome } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'
import { backoffMs } from './backoff.ts'
import { settlementOf } from './settlement.ts'
import type { Transmission, Transmissions } from './transmissions.ts'

/** What has become of transmissions since the process began. */
export interface AnswerCounters {
  readonly accepted: number
  /** Accepted ones that the broker already had. */
  readonly duplicates: number
  readonly retried: number
  readonly refused: number
  /** Transmissions whose answer did not come in time. */
  readonly timeouts: number
  /** Answers for rows that were not inflight any more, or that nobody sent on this connection. */
  readonly stray: number
}

/** What has arrived, judged and not settled yet. */
export interface ArrivedAnswers {
  readonly answered: ReadonlyMap<Transmission, Settlement>
  readonly stray: readonly SendResult[]
  readonly settlements: readonly Settlement[]
  /** In frames, of what is answered. */
  readonly bytes: number
  /** For how long the broker wants nothing at all. */
  readonly pauseMs: number
}

export interface AnswersOptions {
  readonly outbox: Outbox
  readonly transmissions: Transmissions
  /** Told before the rows are sealed anew. */
  readonly onRecipientsStale: (destination: Destination) => void
  readonly runtime: Runtime
  readonly log: Log
}

export class Answers {
  readonly #o: AnswersOptions
  readonly #counters = { accepted: 0, duplicates: 0, retried: 0, refused: 0, timeouts: 0, stray: 0 }
  #arrived: SendResult[] = []

  constructor(options: AnswersOptions) {
    this.#o = options
  }

  get counters(): AnswerCounters {
    return { ...this.#counters }
  }

  take(results: readonly SendResult[]): void {
    this.#arrived.push(...results)
  }

  /** Whether there is something to settle, and all of it is acceptances: then rows may be claimed in the same commit. */
  get hasOnlyAcceptances(): boolean {
    return this.#arrived.length > 0 && this.#arrived.every((result) => 'broker_message_id' in result)
  }

  /** Settles what has arrived. @returns for how long the broker wants nothing at all, in milliseconds; mostly 0 */
  settleArrived(): number {
    if (this.#arrived.length === 0) return 0
    const arrived = this.judgeArrived()
    this.conclude(arrived, this.#o.outbox.settle(arrived.settlements))
    return arrived.pauseMs
  }

  /** What has arrived means to the rows it is about. Nothing changes before `conclude`. */
  judgeArrived(): ArrivedAnswers {
    const random = this.#o.runtime.random()
    const answered = new Map<Transmission, Settlement>()
    const stray: SendResult[] = []
    let bytes = 0
    let pauseMs = 0
    for (const result of this.#arrived) {
      const transmission = this.#o.transmissions.find(result.client_message_id)
      if (transmission === undefined || answered.has(transmission)) {
        stray.push(result)
        continue
      }
      const settlement = settlementOf({ result, transmission, random })
      answered.set(transmission, settlement)
      bytes += transmission.bytes
      // The limit is the member's: every other message would meet it too.
      if (result.status === 429 && settlement.move === 'retry') pauseMs = Math.max(pauseMs, settlement.delayMs)
    }
    return { answered, stray, settlements: [...answered.values()], bytes, pauseMs }
  }

  /** They have been settled in the outbox, by a commit. */
  conclude({ answered, stray, settlements }: ArrivedAnswers, { late }: SettleOutcome): void {
    this.#noteAll(settlements, late)
    for (const [{ destination }, settlement] of answered) {
      if (settlement.move === 'retry' && settlement.reseal) this.#o.onRecipientsStale(destination)
    }
    for (const result of this.#arrived) this.#noteDuplicate(result)
    for (const { client_message_id } of stray) this.#countStray(client_message_id)
    for (const transmission of answered.keys()) this.#o.transmissions.remove(transmission)
    this.#arrived = []
  }

  /** Gives back to the queue what the broker has left unanswered for too long. */
  settleOverdue(monotonicMs: number): void {
    const overdue = this.#o.transmissions.overdue(monotonicMs)
    if (overdue.length === 0) return
    const random = this.#o.runtime.random()
    this.settle(
      overdue.map(({ outboxId, attempts }) => ({
        outboxId,
        move: 'retry',
        delayMs: backoffMs(attempts, random),
        lastError: `timeout: the broker did not answer within ${sendAnswerMsMax / 1000} s`,
        reseal: false,
      })),
    )
    for (const transmission of overdue) this.#o.transmissions.remove(transmission)
    this.#counters.timeouts += overdue.length
    this.#o.log.warn({ rows: overdue.length }, 'send_answers_missing')
  }

  /** One transaction for all; each row is counted and logged by what became of it. */
  settle(settlements: readonly Settlement[]): void {
    if (settlements.length === 0) return
    this.#noteAll(settlements, this.#o.outbox.settle(settlements).late)
  }

  #noteAll(settlements: readonly Settlement[], lateIds: readonly string[]): void {
    const late = new Set(lateIds)
    for (const settlement of settlements) {
      if (late.has(settlement.outboxId)) this.#countStray(settlement.outboxId)
      else this.#note(settlement)
    }
  }

  /** Counts and tells of a row that is dead. */
  noteRefused({ outboxId: outbox_id, lastError: last_error }: { outboxId: string; lastError: string }): void {
    this.#counters.refused += 1
    this.#o.log.warn({ outbox_id, last_error, ...this.#traceOf(outbox_id) }, 'send_refused')
  }

  #note(settlement: Settlement): void {
    const { outboxId: outbox_id } = settlement
    switch (settlement.move) {
      case 'accepted':
        this.#counters.accepted += 1
        this.#debug({ outbox_id, broker_message_id: settlement.brokerMessageId }, 'send_accepted')
        break
      case 'retry':
        this.#counters.retried += 1
        this.#debug({ outbox_id, last_error: settlement.lastError }, 'send_retried')
        break
      case 'refused':
        this.noteRefused(settlement)
        break
      default:
        settlement satisfies never
    }
  }

  /** The row is read again only where the line is wanted. */
  #debug(line: { readonly outbox_id: string; readonly [field: string]: string }, event: string): void {
    const { log } = this.#o
    if (log.isLevelEnabled('debug')) log.debug({ ...line, ...this.#traceOf(line.outbox_id) }, event)
  }

  #traceOf(outboxId: string): { readonly trace_id?: string } {
    return loggedTraceOfRow(this.#o.outbox.get(outboxId))
  }

  #noteDuplicate(result: SendResult): void {
    if (!('duplicate' in result)) return
    this.#counters.duplicates += 1
    if (result.history_available) return
    const { client_message_id, broker_message_id } = result
    const trace = loggedTraceOfRow(this.#o.outbox.getByClientMessageId(client_message_id))
    this.#o.log.warn({ client_message_id, broker_message_id, ...trace }, 'history_pruned')
  }

  #countStray(id: string): void {
    this.#counters.stray += 1
    this.#o.log.debug({ id }, 'stray_answer')
  }
}
