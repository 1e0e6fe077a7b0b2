/** The bounds on what is worked on at once, per transport, so that a flood is answered with 429 and not with memory. */
import { MeshError } from '@claudemesh/protocol'

/** Counts the requests of one transport that are being worked on. */
export class InflightBound {
  readonly #max: () => number
  #current = 0
  #idleListeners: (() => void)[] = []

  constructor(max: () => number) {
    this.#max = max
  }

  get current(): number {
    return this.#current
  }

  /** @throws MeshError daemon_busy */
  enter(): void {
    if (this.#current >= this.#max()) throw new MeshError('daemon_busy')
    this.#current += 1
  }

  leave(): void {
    this.#current -= 1
    if (this.#current > 0 || this.#idleListeners.length === 0) return
    const listeners = this.#idleListeners
    this.#idleListeners = []
    for (const listener of listeners) listener()
  }

  /** Resolves when nothing is worked on. */
  async idle(): Promise<void> {
    if (this.#current > 0) await new Promise<void>((resolve) => this.#idleListeners.push(resolve))
  }
}

/** A bucket that holds one second's worth of requests and fills at that rate. */
export class TokenBucket {
  readonly #perSecond: number
  readonly #monotonicMs: () => number
  #tokens: number
  #filledAt: number

  constructor(o: { perSecond: number; monotonicMs: () => number }) {
    this.#perSecond = o.perSecond
    this.#monotonicMs = o.monotonicMs
    this.#tokens = o.perSecond
    this.#filledAt = o.monotonicMs()
  }

  /** @throws MeshError rate_limited */
  take(): void {
    const now = this.#monotonicMs()
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#filledAt) * this.#perSecond) / 1000)
    this.#filledAt = now
    if (this.#tokens < 1) throw new MeshError('rate_limited')
    this.#tokens -= 1
  }
}
