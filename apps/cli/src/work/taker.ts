import { setTimeout as delay } from 'node:timers/promises'
import type { Queues } from '@claudemesh/client'
import type { WorkMessage } from '@claudemesh/protocol'
import { MeshError } from '../protocol.ts'

export interface TakerOptions {
  readonly queues: Queues
  readonly queue: string
  readonly leaseMs: number
  /** Null: as the queue has it. */
  readonly maxDeliveries: number | null
  /** Told what a person should know. */
  readonly onNote: (text: string) => void
}

/** How long a take waits at the broker before it asks again. */
const takeWaitMs = 30_000
/** How long nobody is asked again after a failure that ends by itself. */
const retryMs = 1_000

/** Takes work of one queue as one of its consumers. While the daemon or the broker is away, it waits and goes on. */
export class Taker {
  readonly #o: TakerOptions
  /** What is being waited for; null when everybody answers. */
  #awaited: string | null = null

  constructor(options: TakerOptions) {
    this.#o = options
  }

  /**
   * Becomes a consumer of the queue.
   *
   * @returns false when the signal came first
   * @throws MeshError for what does not end by itself
   */
  async join(signal: AbortSignal): Promise<boolean> {
    const { queues, queue, maxDeliveries } = this.#o
    const request = maxDeliveries === null ? { queue } : { queue, max_deliveries: maxDeliveries }
    return (await this.persist(() => queues.consume(request), signal)) !== null
  }

  /**
   * The next message, as soon as there is one.
   *
   * @returns null when the signal came first
   * @throws MeshError for what does not end by itself
   */
  async take(signal: AbortSignal): Promise<WorkMessage | null> {
    const { queues, queue, leaseMs, onNote } = this.#o
    const request = { queue, limit: 1, lease_ms: leaseMs, wait_ms: takeWaitMs }
    while (!signal.aborted) {
      try {
        const answer = await this.persist(() => queues.take(request, { signal }), signal)
        if ((answer?.undecryptable ?? 0) > 0) onNote('a message could not be opened on this host and went back')
        const [message] = answer?.messages ?? []
        if (message !== undefined) return message
      } catch (error) {
        if (!isNoConsumer(error)) throw error
        onNote(`${error.message}; joining again`)
        await this.join(signal)
      }
    }
    return null
  }

  /**
   * Makes a call until it is answered.
   *
   * @returns null when it failed and the signal says that it is of no use any more
   * @throws MeshError for what does not end by itself
   */
  async persist<Answer>(call: () => Promise<Answer>, signal: AbortSignal): Promise<Answer | null> {
    for (;;) {
      try {
        const answer = await call()
        if (this.#awaited !== null) this.#o.onNote('going on')
        this.#awaited = null
        return answer
      } catch (error) {
        if (signal.aborted) return null
        if (!(error instanceof MeshError) || !error.retryable) throw error
        if (this.#awaited !== error.code) this.#o.onNote(`waiting: ${error.message}`)
        this.#awaited = error.code
      }
      // The end of the wait is looked at by the next attempt.
      await delay(retryMs, undefined, { signal }).catch(() => undefined)
    }
  }
}

/** The membership ended elsewhere: by `queue leave`, or because an ephemeral member was away for too long. */
function isNoConsumer(error: unknown): error is MeshError {
  return error instanceof MeshError && (error.code === 'queue_not_consumed' || error.code === 'queue_unknown')
}
