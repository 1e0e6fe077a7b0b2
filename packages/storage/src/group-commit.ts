/**
 * Callers that wait together share one transaction and one fsync.
 *
 * 1. Everything submitted in one turn of the event loop is one batch (up to `itemsMax`), in order of arrival. The
 *    commit is triggered by `setImmediate`, which comes right after the requests of the turn have been read: a lone
 *    caller waits for nobody, and sixty-four that arrived together pay for one fsync.
 * 2. Every item gets its own outcome, and only after the commit.
 * 3. A batch that fails rejects its own items with the cause, stores nothing, and touches no other batch. Work that joins
 *    one (`runWithBatch`) fails with it, and it with the work.
 * 4. Between two batches the event loop runs, so that a backlog does not keep answers from being written.
 * 5. Node takes one new connection in each turn. Callers that come together, each on a connection of its own, would get a
 *    commit each; so a batch waits as long as connections keep coming (`expectMore`), and no longer than the commit before
 *    it took: nobody waits for more than twice what the disk needs.
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
  #moreExpected = false
  /** How long the last commit took, in milliseconds. */
  #commitMs = 0

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

  /** Says that the next turn of the event loop may bring an item: somebody has just connected. */
  expectMore(): void {
    this.#moreExpected = true
  }

  /** Items submitted and not yet committed. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Commits at once what is waiting now. To be awaited before the database is closed. */
  async drain(): Promise<void> {
    while (this.#waiting.length > 0) this.#commitBatch()
  }

  /**
   * Runs other work on the same database now, and what waits behind it, for the price of one commit.
   *
   * @returns what `work` returned, after the commit
   * @throws what `immediate` throws
   */
  runWithBatch<T>(work: (tx: Tx) => T): T {
    const batch = this.#takeBatch()
    let outcomes: readonly Outcome[] = []
    let result: T
    const begun = performance.now()
    try {
      result = immediate(this.#options.db, (tx) => {
        const done = work(tx)
        if (batch.length > 0) outcomes = this.#runItems(tx, batch)
        return done
      })
    } catch (error) {
      for (const waiter of batch) waiter.reject(error)
      throw error
    } finally {
      this.#commitMs = performance.now() - begun
    }
    for (const [index, waiter] of batch.entries()) waiter.resolve(outcomes[index] as Outcome)
    return result
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const since = performance.now()
    setImmediate(() => this.#endTurn(since))
  }

  #endTurn(since: number): void {
    const mayWait = this.#waiting.length < this.#options.itemsMax && performance.now() - since < this.#commitMs
    if (this.#moreExpected && mayWait) {
      this.#moreExpected = false
      setImmediate(() => this.#endTurn(since))
      return
    }
    this.#scheduled = false
    if (this.#waiting.length > 0) this.#commitBatch()
    if (this.#waiting.length > 0) this.#schedule()
  }

  #commitBatch(): void {
    try {
      this.runWithBatch(() => undefined)
    } catch {
      // Each item of the batch has been told.
    }
  }

  #takeBatch(): readonly Waiter<Item, Outcome>[] {
    if (this.#waiting.length > this.#options.itemsMax) return this.#waiting.splice(0, this.#options.itemsMax)
    const batch = this.#waiting
    this.#waiting = []
    return batch
  }

  #runItems(tx: Tx, batch: readonly Waiter<Item, Outcome>[]): readonly Outcome[] {
    const items = batch.map((waiter) => waiter.item)
    const outcomes = this.#options.run(tx, items)
    // Checked before the commit: an item without an outcome must not be stored either.
    if (outcomes.length !== items.length) {
      throw new Error(`a batch of ${items.length} items returned ${outcomes.length} outcomes`)
    }
    return outcomes
  }
}
