/**
 * Does the work of a queue by running a command for each message.
 *
 * 1. A message is acknowledged only when its command has ended with 0. In every other case it goes back, and later each
 *    time.
 * 2. Work whose lease was lost does not count, whatever its command said: somebody else may do it again.
 * 3. Nothing is taken before there is room for it, and nothing after `stop`; what runs then is waited for.
 */
import { setMaxListeners } from 'node:events'
import type { Queues } from '@claudemesh/client'
import type { QueueSettleResponse, WorkMessage } from '@claudemesh/protocol'
import { invalidUsage } from '../flags.ts'
import { formatDuration } from '../output/quantity.ts'
import { failureOf, type Job, startJob } from './job.ts'
import { Lease } from './lease.ts'
import type { Taker } from './taker.ts'

export interface WorkerOptions {
  readonly taker: Taker
  readonly queues: Queues
  readonly command: readonly [string, ...string[]]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly leaseMs: number
  /** Commands that run at once. */
  readonly concurrency: number
  /** Ends after one message. */
  readonly once: boolean
  readonly onNote: (text: string) => void
}

/** What became of the messages that were taken. */
export interface Tally {
  done: number
  returned: number
  dead: number
  lost: number
}

export class Worker {
  readonly #o: WorkerOptions
  readonly #stopping = new AbortController()
  readonly #abandoning = new AbortController()
  readonly #jobs = new Set<Job>()
  readonly #tally: Tally = { done: 0, returned: 0, dead: 0, lost: 0 }

  constructor(options: WorkerOptions) {
    this.#o = options
    // Each lane listens a few times; that is not a leak, however many lanes there are.
    setMaxListeners(0, this.#stopping.signal, this.#abandoning.signal)
  }

  /** Works until it is stopped and nothing runs any more. @throws MeshError for what does not end by itself */
  async run(): Promise<Readonly<Tally>> {
    const { taker, concurrency } = this.#o
    await taker.join(this.#stopping.signal)
    const lanes = Array.from({ length: concurrency }, () => this.#lane())
    // One that fails ends the others in good order before it is told of.
    const ended = await Promise.allSettled(lanes)
    for (const end of ended) if (end.status === 'rejected') throw end.reason
    return this.#tally
  }

  /** Takes nothing more. */
  stop(): void {
    this.#stopping.abort()
  }

  /** Kills what runs; it goes back. */
  abandon(): void {
    this.stop()
    this.#abandoning.abort()
    for (const job of this.#jobs) job.kill()
  }

  async #lane(): Promise<void> {
    const { signal } = this.#stopping
    try {
      while (!signal.aborted) {
        const message = await this.#o.taker.take(signal)
        if (message === null) return
        await this.#work(message)
        if (this.#o.once) this.stop()
      }
    } catch (error) {
      this.stop()
      throw error
    }
  }

  async #work(message: WorkMessage): Promise<void> {
    const { queues, command, environment, leaseMs, onNote } = this.#o
    const onLost = () =>
      onNote(`${message.id}: its lease is lost, another worker may do it; what is done here counts not`)
    const lease = new Lease({ queues, message, leaseMs, onLost })
    const job = startJob({ command, message, environment })
    this.#jobs.add(job)
    const end = await job.ended
    this.#jobs.delete(job)
    lease.stop()
    if (lease.isLost) this.#tally.lost += 1
    else await this.#settle(message, this.#abandoning.signal.aborted ? 'interrupted' : failureOf(end))
    if (end.kind === 'not_started') throw invalidUsage(`the command cannot be started: ${end.why}`)
  }

  /** @param failure null when it is done */
  async #settle(message: WorkMessage, failure: string | null): Promise<void> {
    const { taker, queues, onNote } = this.#o
    const { id, lease_id, deliveries } = message
    const delayMs = retryDelayMs(deliveries)
    const call = () =>
      failure === null
        ? queues.ack([{ id, lease_id }])
        : queues.nack([{ id, lease_id, delay_ms: delayMs, reason: failure }])
    const answer = await taker.persist(call, this.#abandoning.signal)
    const outcome = answer?.items[0]?.outcome ?? 'lease_lost'
    const kept = tallied[outcome]
    this.#tally[kept] += 1
    if (kept === 'returned') onNote(`${id}: ${failure}, goes back and is tried again in ${formatDuration(delayMs)}`)
    if (kept === 'dead') onNote(`${id}: ${failure ?? 'done'}, but it was given up after ${deliveries} deliveries`)
    if (kept === 'lost') onNote(`${id}: ${failure ?? 'done'}, but its lease was lost: it does not count`)
  }
}

/** What an answer means for the message. */
const tallied: Readonly<Record<QueueSettleResponse['items'][number]['outcome'], keyof Tally>> = {
  done: 'done',
  returned: 'returned',
  dead: 'dead',
  extended: 'lost',
  lease_lost: 'lost',
  unknown: 'lost',
}

const retryMsBase = 1_000
const retryMsCap = 300_000

/** How long a message that failed is held back: a second, and twice as long each time, up to five minutes. */
export function retryDelayMs(deliveries: number): number {
  return Math.min(retryMsCap, retryMsBase * 2 ** Math.min(deliveries - 1, 20))
}
