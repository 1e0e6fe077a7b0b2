/**
 * Deliveries whose sender nobody here knows: they wait until the directory was read once more.
 *
 * 1. A delivery waits for one look that was asked for after it came, and for a bounded time.
 * 2. Whatever comes of the same sender meanwhile waits behind it, so that the order of its messages stays.
 *
 * It holds and gives back, in order; what becomes of them is the receiver's.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { DeliveryItem } from '@claudemesh/protocol'
import { senderLookUpMsMax } from '../limits.ts'

export interface SenderLookUpOptions {
  /** Reads the directory for members whom nobody here knows. Never rejects. */
  readonly lookFor: (memberIds: readonly string[]) => Promise<void>
  /** Takes deliveries back: what can be known of their sender now is known. */
  readonly onLookedUp: (items: readonly DeliveryItem[]) => void
}

export class SenderLookUp {
  readonly #options: SenderLookUpOptions
  /** In order of arrival. */
  #held: DeliveryItem[] = []
  #isReading = false

  constructor(options: SenderLookUpOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#held.length
  }

  isHolding(sender: string): boolean {
    return this.#held.some((item) => item.sender === sender)
  }

  hold(items: readonly DeliveryItem[]): void {
    this.#held.push(...items)
    if (!this.#isReading && this.#held.length > 0) void this.#read()
  }

  /** Gives back everything as it is. */
  release(): readonly DeliveryItem[] {
    return this.#held.splice(0)
  }

  async #read(): Promise<void> {
    this.#isReading = true
    const count = this.#held.length
    await this.#lookInTime([...new Set(this.#held.map((item) => item.sender))])
    this.#isReading = false
    const lookedUp = this.#held.splice(0, count)
    if (lookedUp.length > 0) this.#options.onLookedUp(lookedUp)
    if (this.#held.length > 0) void this.#read()
  }

  async #lookInTime(memberIds: readonly string[]): Promise<void> {
    const patience = new AbortController()
    // The end of patience is no failure: the deliveries are stored unopened and tried again when the key is learnt.
    const over = delay(senderLookUpMsMax, undefined, { signal: patience.signal }).catch(() => undefined)
    await Promise.race([this.#options.lookFor(memberIds), over])
    patience.abort()
  }
}
