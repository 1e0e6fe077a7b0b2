import type { Queues } from '@claudemesh/client'
import type { WorkMessage } from '@claudemesh/protocol'
import { MeshError } from '../protocol.ts'

/** A lease is renewed when a third of it has passed, so that two failures in a row cost nothing. */
const renewalsPerLease = 3
const retryMsMax = 1_000

/** Keeps the lease of one message until it is stopped or lost. */
export class Lease {
  readonly #o: {
    readonly queues: Queues
    readonly message: WorkMessage
    readonly leaseMs: number
    readonly onLost: () => void
  }
  #timer: NodeJS.Timeout | null = null
  #isLost = false
  #isStopped = false

  /** @param o.onLost somebody else may do the work from now on */
  constructor(o: {
    readonly queues: Queues
    readonly message: WorkMessage
    readonly leaseMs: number
    readonly onLost: () => void
  }) {
    this.#o = o
    this.#renewAfter(o.leaseMs / renewalsPerLease)
  }

  get isLost(): boolean {
    return this.#isLost
  }

  stop(): void {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #renewAfter(ms: number): void {
    this.#timer = setTimeout(() => void this.#renew(), ms)
  }

  async #renew(): Promise<void> {
    const { queues, message, leaseMs, onLost } = this.#o
    const intervalMs = leaseMs / renewalsPerLease
    try {
      const { items } = await queues.extend([{ id: message.id, lease_id: message.lease_id, lease_ms: leaseMs }])
      if (this.#isStopped) return
      if (items[0]?.outcome === 'extended') {
        this.#renewAfter(intervalMs)
        return
      }
      this.#isLost = true
      onLost()
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      // Nobody was asked. The lease may last until somebody is; if not, that is what the next answer says.
      if (!this.#isStopped) this.#renewAfter(Math.min(intervalMs, retryMsMax))
    }
  }
}
