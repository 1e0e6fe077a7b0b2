import { setMaxListeners } from 'node:events'
import { inflightRequestsMax } from '../limits.ts'

/**
 * The calls of one connection, one after the other, each begun when the peer has taken the answers before it: whoever
 * asks for a thousand pages and reads none costs the memory of one.
 *
 * A call that waits for something to happen has no place here: it would hold up the others. It waits outside, until
 * `ended` at the latest, and takes another turn.
 */
export class Turns {
  readonly #isBlocked: () => boolean
  #last: Promise<unknown> = Promise.resolve()
  #waiting: (() => void)[] = []
  readonly #ended = new AbortController()

  /** @param isBlocked whether the peer has yet to take what was written for it */
  constructor(isBlocked: () => boolean) {
    this.#isBlocked = isBlocked
    // Each call that waits listens.
    setMaxListeners(2 * inflightRequestsMax, this.#ended.signal)
  }

  take<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#unblocked()).then(call)
    // How a call ends is for its caller; the next one follows either way.
    this.#last = result.catch(() => undefined)
    return result
  }

  /** Aborted when nobody is to wait for this peer any longer. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  /** The peer asks for nothing more. */
  end(): void {
    this.#ended.abort()
    this.look()
  }

  /** The peer may have taken something. */
  look(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async #unblocked(): Promise<void> {
    while (this.#isBlocked()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
