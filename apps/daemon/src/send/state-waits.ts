/** `POST /v1/send?wait=`: requests that wait for their row to reach a state (02 §4, §10). */
import type { WaitState } from '@claudemesh/protocol'
import type { Outbox, OutboxSummary, StoredReceipt } from '../outbox/outbox.ts'
import type { SendAnswer } from './accept-table.ts'
import { tallyReceipts, toSendResponse } from './views.ts'

export interface WaitOptions {
  readonly waitMs: number
  readonly until: WaitState
  /** Ends the wait early: the caller has gone, or the daemon stops. */
  readonly signal: AbortSignal
}

/** Waits end by a change of their row, by time or by their signal, whichever is first; how many there are is bounded by requests. */
export class StateWaits {
  readonly #outbox: Outbox
  readonly #waiting = new Map<string, Set<() => void>>()

  constructor(outbox: Outbox) {
    this.#outbox = outbox
    outbox.onChange((outboxIds) => this.#lookAgain(outboxIds))
  }

  async awaitState(answer: SendAnswer, o: WaitOptions): Promise<SendAnswer> {
    const outboxId = answer.body.outbox_id
    if (o.waitMs > 0 && !o.signal.aborted && !this.#hasReached(outboxId, o.until)) await this.#wait(outboxId, o)
    return this.#answer(answer)
  }

  #wait(outboxId: string, o: WaitOptions): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer)
        o.signal.removeEventListener('abort', finish)
        this.#forget(outboxId, look)
        resolve()
      }
      const look = () => {
        if (this.#hasReached(outboxId, o.until)) finish()
      }
      const timer = setTimeout(finish, o.waitMs)
      o.signal.addEventListener('abort', finish)
      const looks = this.#waiting.get(outboxId) ?? new Set()
      this.#waiting.set(outboxId, looks.add(look))
    })
  }

  #forget(outboxId: string, look: () => void): void {
    const looks = this.#waiting.get(outboxId)
    looks?.delete(look)
    if (looks?.size === 0) this.#waiting.delete(outboxId)
  }

  #lookAgain(outboxIds: readonly string[]): void {
    if (this.#waiting.size === 0) return
    for (const outboxId of outboxIds) {
      for (const look of [...(this.#waiting.get(outboxId) ?? [])]) look()
    }
  }

  /** A row that has been deleted meanwhile cannot change any more either. */
  #hasReached(outboxId: string, until: WaitState): boolean {
    const row = this.#outbox.summary(outboxId)
    return row === null || hasReached(row, this.#outbox.receipts(outboxId), until)
  }

  /** What is proven now; the first answer stands for a row that is gone. `duplicate` is about the request and stays. */
  #answer(answer: SendAnswer): SendAnswer {
    const row = this.#outbox.summary(answer.body.outbox_id)
    if (row === null) return answer
    const { duplicate } = answer.body
    return {
      httpStatus: row.status === 'pending' || row.status === 'inflight' ? 202 : 200,
      body: {
        ...toSendResponse(row, this.#outbox.receipts(row.id)),
        ...(duplicate === undefined ? {} : { duplicate }),
      },
    }
  }
}

/** Whether a row is where a caller waits for it to be, or can no longer get there. */
export function hasReached(row: OutboxSummary, receipts: readonly StoredReceipt[], until: WaitState): boolean {
  if (row.status === 'pending' || row.status === 'inflight') return false
  if (row.status !== 'done' || until === 'accepted') return true
  const recipients = row.recipientCount ?? 0
  if (!row.receipts || recipients === 0) return true
  const tally = tallyReceipts(receipts)
  return (until === 'delivered' ? tally.delivered : tally.read) + tally.undeliverable >= recipients
}
