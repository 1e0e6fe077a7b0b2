/**
 * Work that is done in rounds, one at a time: at once when somebody wakes it, again at once while there is more, and after
 * a growing delay when a round failed. Nothing is lost by a failed round: what is to be done is in a store.
 */
import { MeshError } from '@claudemesh/protocol'
import { backoffCeilingMs } from './backoff.ts'
import { workBackoffMsBase, workBackoffMsCap } from './limits.ts'
import type { Log } from './log.ts'

export interface PacedWorkOptions {
  /**
   * One round. Ends early when the signal aborts.
   *
   * @returns when to look again, in milliseconds; null: when somebody wakes it
   * @throws MeshError when it is to be tried again later
   */
  readonly round: (signal: AbortSignal) => Promise<number | null>
  /** In [0, 1). */
  readonly random: () => number
  /** Of the line that tells of a failed round. */
  readonly name: string
  readonly log: Log
}

export class PacedWork {
  readonly #options: PacedWorkOptions
  readonly #stopping = new AbortController()
  #running: Promise<void> | null = null
  #isWoken = false
  #failures = 0
  #failure: MeshError | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(options: PacedWorkOptions) {
    this.#options = options
  }

  /** Why the latest round failed; null: it did not. */
  get failure(): MeshError | null {
    return this.#failure
  }

  /** There may be something to do. */
  wake(): void {
    if (this.#stopping.signal.aborted) return
    this.#isWoken = true
    this.#endRest()
    this.#running ??= this.#work().finally(() => {
      this.#running = null
    })
  }

  /** Something that stood in the way may be gone: the delay begins anew. */
  retry(): void {
    this.#failures = 0
    this.wake()
  }

  /** Ends the round that runs, and begins none. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#endRest()
    await this.#running
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping
    while (this.#isWoken && !signal.aborted) {
      this.#isWoken = false
      const restMs = await this.#round(signal)
      if (restMs === 0) this.#isWoken = true
      else if (restMs !== null && !signal.aborted) this.#timer = setTimeout(() => this.wake(), restMs)
    }
  }

  async #round(signal: AbortSignal): Promise<number | null> {
    const { round, random, name, log } = this.#options
    try {
      const restMs = await round(signal)
      this.#failures = 0
      this.#failure = null
      return restMs
    } catch (error) {
      if (signal.aborted) return null
      if (!(error instanceof MeshError)) throw error
      log.warn({ err: error, work: name, failures: this.#failures + 1 }, 'work_failed')
      const ceilingMs = backoffCeilingMs({
        baseMs: workBackoffMsBase,
        capMs: workBackoffMsCap,
        attempts: this.#failures,
      })
      this.#failures += 1
      this.#failure = error
      return Math.max(1, Math.ceil(random() * ceilingMs))
    }
  }

  #endRest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
