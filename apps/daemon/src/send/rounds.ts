import { sendRestMsMax, sendRestMsPerAccept } from '../limits.ts'

/**
 * When the sender has its rounds: one at a time, at once when it is asked for, and not while it rests.
 *
 * Callers and the sender share one thread. A round works on a whole batch, callers come one by one: without a rest a
 * sender with a backlog would have all of the time that they leave, and more. So as long as a round took, none follows,
 * if enough was accepted meanwhile to make use of it.
 */
export class Rounds {
  readonly #run: () => void
  readonly #monotonicMs: () => number
  #next: NodeJS.Immediate | null = null
  #resting: NodeJS.Timeout | null = null
  #later: NodeJS.Timeout | null = null
  #restUntil = 0
  #isRunning = false
  #isAsked = false

  constructor(o: { readonly run: () => void; readonly monotonicMs: () => number }) {
    this.#run = o.run
    this.#monotonicMs = o.monotonicMs
  }

  /** Asks for a round. Cheap, and never wrong to call. */
  ask(): void {
    this.#isAsked = true
    if (this.#isRunning || this.#next !== null || this.#resting !== null) return
    const restMs = this.#restUntil - this.#monotonicMs()
    if (restMs > 0) {
      this.#resting = setTimeout(() => {
        this.#resting = null
        this.#beginThisTurn()
      }, restMs)
      return
    }
    this.#beginThisTurn()
  }

  /** After the requests of the turn have been read: then a round shares its commit with them. */
  #beginThisTurn(): void {
    this.#next = setImmediate(() => {
      this.#next = null
      this.#begin()
    })
  }

  /** Asks for a round after some time, unless there is one before. */
  askIn(ms: number): void {
    if (this.#later !== null) clearTimeout(this.#later)
    this.#later = setTimeout(() => {
      this.#later = null
      this.ask()
    }, ms)
  }

  /**
   * To be called at the end of a round that leaves rows behind.
   *
   * @param o.spentMs how long it took
   * @param o.accepted rows that were stored since the round before
   */
  rest(o: { readonly spentMs: number; readonly accepted: number }): void {
    const restMs = Math.min(o.spentMs, o.accepted * sendRestMsPerAccept, sendRestMsMax)
    this.#restUntil = this.#monotonicMs() + restMs
  }

  /** Takes back what was asked for. */
  stop(): void {
    if (this.#next !== null) clearImmediate(this.#next)
    if (this.#resting !== null) clearTimeout(this.#resting)
    if (this.#later !== null) clearTimeout(this.#later)
    this.#next = null
    this.#resting = null
    this.#later = null
    this.#isAsked = false
  }

  #begin(): void {
    if (this.#later !== null) clearTimeout(this.#later)
    this.#later = null
    this.#isAsked = false
    this.#isRunning = true
    try {
      this.#run()
    } finally {
      this.#isRunning = false
    }
    // What was asked for by the round itself comes after the rest that it earned.
    if (this.#isAsked) this.ask()
  }
}
