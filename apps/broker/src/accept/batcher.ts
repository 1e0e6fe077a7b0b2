/**
 * What waits together is worked on together, in the order in which it arrived.
 *
 * One batch is under way at a time; what arrives meanwhile is the next one. So a lone group waits for nobody, and under
 * load the batches grow by themselves up to their bound. How much may wait is bounded by the windows of the
 * connections, which stop being read when they are full.
 */
interface WaitingGroup<Item, Result> {
  readonly items: readonly Item[]
  readonly resolve: (results: readonly Result[]) => void
  readonly reject: (error: unknown) => void
}

export class Batcher<Item, Result> {
  readonly #work: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly #itemsMax: number
  readonly #waiting: WaitingGroup<Item, Result>[] = []
  #running: Promise<void> | null = null

  /** @param options.work gives one result per item, in their order */
  constructor(options: {
    readonly work: (items: readonly Item[]) => Promise<readonly Result[]>
    readonly itemsMax: number
  }) {
    this.#work = options.work
    this.#itemsMax = options.itemsMax
  }

  /** @returns one result per item of this group, in their order */
  submit(items: readonly Item[]): Promise<readonly Result[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ items, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing waits and nothing is under way. */
  async drain(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  async #run(): Promise<void> {
    // The other groups of this turn of the event loop are there once setImmediate comes.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) await this.#workOnNext()
    this.#running = null
  }

  async #workOnNext(): Promise<void> {
    const groups = this.#takeGroups()
    try {
      const results = await this.#work(groups.flatMap(({ items }) => items))
      let start = 0
      for (const { items, resolve } of groups) {
        resolve(results.slice(start, start + items.length))
        start += items.length
      }
    } catch (error) {
      for (const { reject } of groups) reject(error)
    }
  }

  /** At least one group, and no more than the bound takes. */
  #takeGroups(): readonly WaitingGroup<Item, Result>[] {
    let items = 0
    let count = 0
    for (const group of this.#waiting) {
      items += group.items.length
      if (count > 0 && items > this.#itemsMax) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }
}
