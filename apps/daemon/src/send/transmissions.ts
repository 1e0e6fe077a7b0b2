import type { Destination } from '@claudemesh/protocol'

/** What is on its way to the broker on this connection, by the id that its answer will carry, oldest first. */
export interface Transmission {
  readonly outboxId: string
  readonly clientMessageId: string
  readonly destination: Destination
  /** Transmissions of the same row that ended before this one. */
  readonly attempts: number
  /** The row came out of a backup in which it was still to be sent. */
  readonly isRestored: boolean
  /** Bytes in its frame. */
  readonly bytes: number
  /** When it counts as unanswered, on the monotonic clock. */
  readonly answerBy: number
}

export class Transmissions {
  readonly #byClientMessageId = new Map<string, Transmission>()
  #bytes = 0

  get size(): number {
    return this.#byClientMessageId.size
  }

  get bytes(): number {
    return this.#bytes
  }

  add(transmission: Transmission): void {
    if (this.#byClientMessageId.has(transmission.clientMessageId)) throw new Error('a row is transmitted twice at once')
    this.#byClientMessageId.set(transmission.clientMessageId, transmission)
    this.#bytes += transmission.bytes
  }

  find(clientMessageId: string): Transmission | undefined {
    return this.#byClientMessageId.get(clientMessageId)
  }

  remove(transmission: Transmission): void {
    if (this.#byClientMessageId.delete(transmission.clientMessageId)) this.#bytes -= transmission.bytes
  }

  clear(): void {
    this.#byClientMessageId.clear()
    this.#bytes = 0
  }

  /** When the oldest counts as unanswered; null when nothing is on its way. */
  get firstAnswerBy(): number | null {
    for (const transmission of this.#byClientMessageId.values()) return transmission.answerBy
    return null
  }

  /** Those that should have been answered by now. */
  overdue(monotonicMs: number): readonly Transmission[] {
    const overdue: Transmission[] = []
    for (const transmission of this.#byClientMessageId.values()) {
      if (transmission.answerBy > monotonicMs) break
      overdue.push(transmission)
    }
    return overdue
  }
}
