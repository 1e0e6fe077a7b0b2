import { sendSweepMs } from '../limits.ts'
import type { Outbox } from '../outbox/outbox.ts'

/** Both clocks as they were when a round began; what is due is judged by these, and so is what is due next. */
export interface RoundTime {
  readonly now: number
  readonly monotonicMs: number
}

/**
 * How long the sender has nothing to do by itself, in milliseconds; null: only an event can bring work.
 *
 * @param o.firstAnswerBy when the oldest transmission counts as unanswered, on the monotonic clock; null: there is none
 * @param o.holdUntil no claim before this time of the monotonic clock
 */
export function msToNextRound(o: {
  readonly outbox: Pick<Outbox, 'counts' | 'nextAttemptAt'>
  readonly time: RoundTime
  readonly firstAnswerBy: number | null
  readonly isConnected: boolean
  readonly holdUntil: number
}): number | null {
  const { outbox, time } = o
  const waits: number[] = []
  if (o.firstAnswerBy !== null) waits.push(o.firstAnswerBy - time.monotonicMs)
  if (outbox.counts().pending > 0) {
    waits.push(sendSweepMs)
    const attemptAt = o.isConnected ? outbox.nextAttemptAt(time.now) : null
    if (attemptAt !== null) {
      const waitMs = Math.max(attemptAt - time.now, o.holdUntil - time.monotonicMs)
      // A row that was ready and not claimed waits for room in the window; an answer makes it.
      if (waitMs > 0) waits.push(waitMs)
    }
  }
  return waits.length === 0 ? null : Math.max(1, Math.ceil(Math.min(...waits)))
}
