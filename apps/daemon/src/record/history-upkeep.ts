/** Deletes from the history what is past its retention, and gives back the space of it, from time to time. */
import { type History, type Partition, parsePartition } from '@claudemesh/history'
import type { Health } from '../health.ts'
import type { Log } from '../log.ts'
import { PacedWork } from '../paced-work.ts'
import type { Runtime } from '../runtime.ts'
import { historyUpkeepMs, historyWasteBytesMin } from './limits.ts'

export interface HistoryUpkeepOptions {
  readonly history: History
  /** By the clock of what is past its time. */
  readonly now: () => number
  readonly raised: Health
  readonly runtime: Runtime
  readonly log: Log
}

export class HistoryUpkeep {
  readonly #o: HistoryUpkeepOptions
  readonly #work: PacedWork

  constructor(o: HistoryUpkeepOptions) {
    this.#o = o
    const { random } = o.runtime
    this.#work = new PacedWork({ round: () => this.#round(), random, name: 'history_upkeep', log: o.log })
  }

  start(): void {
    this.#work.wake()
  }

  async stop(): Promise<void> {
    await this.#work.stop()
  }

  /** Deletes what is past its retention now. */
  async prune(): Promise<Awaited<ReturnType<History['prune']>>> {
    const { history, now, raised, log } = this.#o
    const pruned = await history.prune(now())
    for (const { partition, rows, lost } of pruned) {
      if (rows > 0) log.info({ partition, removed: rows, lost }, 'history_pruned')
    }
    if (pruned.every(({ lost }) => lost === 0)) raised.clear('history_cap_passed')
    return pruned
  }

  async #round(): Promise<number> {
    await this.prune()
    for (const partition of this.#wasteful()) {
      const compacted = await this.#o.history.compact(partition)
      this.#o.log.info({ ...compacted }, 'history_compacted')
    }
    return historyUpkeepMs
  }

  #wasteful(): readonly Partition[] {
    return this.#o.history.stats().flatMap(({ partition, fileBytes, usedBytes }) => {
      const isWasteful = fileBytes - usedBytes > Math.max(historyWasteBytesMin, usedBytes)
      const found = isWasteful ? parsePartition(partition) : null
      return found === null ? [] : [found]
    })
  }
}
