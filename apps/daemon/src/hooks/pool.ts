/** The processes of hooks that may run at once. Events take a slot when one is free; sends that wait for `pre-send` queue. */
import { MeshError } from '@claudemesh/protocol'
import { hooksAtOnceMax, preSendSlots, preSendsWaitingMax } from './limits.ts'

export class Pool {
  readonly #onRoom: () => void
  readonly #waiting: (() => void)[] = []
  #running = 0
  /** Slots that events leave free. */
  #reserved = 0

  /** @param onRoom told when an event may take a slot again */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom
  }

  get running(): number {
    return this.#running
  }

  /** Keeps some slots free for sends, or does so no longer. */
  reserve(hasPreSend: boolean): void {
    this.#reserved = hasPreSend ? preSendSlots : 0
  }

  /** Takes a slot for an event, if there is one. */
  tryEnter(): boolean {
    if (this.#running >= hooksAtOnceMax - this.#reserved) return false
    this.#running += 1
    return true
  }

  /**
   * Waits for a slot, in order.
   *
   * @throws MeshError daemon_busy when too many wait already
   */
  async enter(): Promise<void> {
    if (this.#running < hooksAtOnceMax) {
      this.#running += 1
      return
    }
    if (this.#waiting.length >= preSendsWaitingMax) throw new MeshError('daemon_busy')
    // Whoever leaves hands the slot over.
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next()
      return
    }
    this.#running -= 1
    this.#onRoom()
  }
}
