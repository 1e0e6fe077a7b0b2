/**
 * Callers that wait together share one transaction and one fsync.
 *
 * 1. Everything submitted in one turn of the event loop is one batch (up to `itemsMax`), in order of arrival. The
 *    commit is triggered by `setImmediate`, which comes right after the requests of the turn have been read: a lone
 *    caller waits for nobody, and sixty-four that arrived together pay for one fsync.
 * 2. Every item gets its own outcome, and only after the commit.
 * 3. A batch that fails rejects its own items with the cause, stores nothing, and touches no other batch.
 * 4. Between two batches the event loop runs, so that a backlog does not keep answers from being written.
 *
 * How many may wait is bounded by whoever lets callers in; `waiting` tells it.
 */
import { type Database, immediate, type Tx } from './transaction.ts'

export interface GroupCommitOptions<Item, Outcome> {
  readonly db: Database
  /** Items in one transaction at most; at least 1. */
  readonly itemsMax: number
  /** Does the work of one batch. Returns one outcome per item, in the order of the items. */
  readonly run: (tx: Tx, items: readonly Item[]) => readonly Outcome[]
}

interface Waiter<Item, Outcome> {
  readonly item: Item
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

export class GroupCommit<Item, Outcome> {
  readonly #options: GroupCommitOptions<Item, Outcome>
  #waiting: Waiter<Item, Outcome>[] = []
  #scheduled = false

  constructor(options: GroupCommitOptions<Item, Outcome>) {
    if (!Number.isSafeInteger(options.itemsMax) || options.itemsMax < 1) {
      throw new RangeError('itemsMax must be a positive integer')
    }
    this.#options = options
  }

  /** Adds an item to the next batch. Settles after that batch's commit, or with the reason why there was none. */
  submit(item: Item): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      this.#schedule()
    })
  }

  /** Items submitted and not yet committed. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Commits at once what is waiting now. To be awaited before the database is closed. */
  async drain(): Promise<void> {
    while (this.#waiting.length > 0) this.#commitBatch()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.#waiting.length > 0) this.#commitBatch()
      if (this.#waiting.length > 0) this.#schedule()
    })
  }

  #commitBatch(): void {
    const batch = this.#takeBatch()
    let outcomes: readonly Outcome[]
    try {
      outcomes = this.#runBatch(batch.map((waiter) => waiter.item))
    } catch (error) {
      for (const waiter of batch) waiter.reject(error)
      return
    }
    for (const [index, waiter] of batch.entries()) waiter.resolve(outcomes[index] as Outcome)
  }

  #takeBatch(): readonly Waiter<Item, Outcome>[] {
    if (this.#waiting.length > this.#options.itemsMax) return this.#waiting.splice(0, this.#options.itemsMax)
    const batch = this.#waiting
    this.#waiting = []
    return batch
  }

  #runBatch(items: readonly Item[]): readonly Outcome[] {
    return immediate(this.#options.db, (tx) => {
      const outcomes = this.#options.run(tx, items)
      // Checked before the commit: an item without an outcome must not be stored either.
      if (outcomes.length !== items.length) {
        throw new Error(`a batch of ${items.length} items returned ${outcomes.length} outcomes`)
      }
      return outcomes
    })
  }
}
