/** Removes what is past its retention, in small steps between which requests are served. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { housekeepingIntervalMs } from '../limits.ts'
import type { Log } from '../log.ts'

/** One kind of thing to remove. */
export interface Chore {
  readonly name: string
  /** Does one bounded step. Returns how many rows went, and whether there may be more. */
  readonly step: () => { readonly removed: number; readonly hasMore: boolean }
}

export class Housekeeping {
  readonly #chores: readonly Chore[]
  readonly #log: Log
  #timer: NodeJS.Timeout | null = null
  #round: Promise<void> | null = null

  constructor(o: { chores: readonly Chore[]; log: Log }) {
    this.#chores = o.chores
    this.#log = o.log
  }

  start(): void {
    this.#timer = setInterval(() => this.round(), housekeepingIntervalMs)
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    await this.#round
  }

  /** Does every chore to its end; one at a time, however often it is asked for. */
  round(): Promise<void> {
    this.#round ??= this.#doAll().finally(() => {
      this.#round = null
    })
    return this.#round
  }

  async #doAll(): Promise<void> {
    for (const chore of this.#chores) {
      let removed = 0
      try {
        for (let hasMore = true; hasMore && this.#timer !== null; await nextTurn()) {
          const step = chore.step()
          removed += step.removed
          hasMore = step.hasMore
        }
      } catch (error) {
        // It comes again with the next round; the other chores are done meanwhile.
        this.#log.error({ chore: chore.name, err: error }, 'retention_failed')
      }
      if (removed > 0) this.#log.info({ chore: chore.name, removed }, 'retention_applied')
    }
  }
}
