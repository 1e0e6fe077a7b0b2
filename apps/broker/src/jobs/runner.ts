/**
 * Runs each job at its own pace. A job works in steps of a bounded number of rows and yields to the event loop between
 * two, so that accepting never waits for more than one step.
 */
export interface Job {
  readonly name: string
  readonly intervalMs: number
  /** It is about this node alone. Any other one runs on one node at a time. */
  readonly ofEveryNode?: true
  /** One step. @returns true when there is more to do at once */
  step(): Promise<boolean>
}

export class JobRunner {
  readonly #jobs: readonly Job[]
  readonly #isLeader: () => boolean
  readonly #report: (error: unknown) => void
  readonly #stopped = new AbortController()
  readonly #timers = new Set<NodeJS.Timeout>()
  #running: Promise<unknown> = Promise.resolve()

  /** @param options.isLeader whether the work that is one node's at a time is this one's */
  constructor(options: {
    readonly jobs: readonly Job[]
    readonly isLeader: () => boolean
    readonly report: (error: unknown) => void
  }) {
    this.#jobs = options.jobs
    this.#isLeader = options.isLeader
    this.#report = options.report
  }

  start(): void {
    for (const job of this.#jobs) this.#schedule(job)
  }

  /** Resolves when no step is under way; none will begin. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    for (const timer of this.#timers) clearTimeout(timer)
    await this.#running
  }

  #schedule(job: Job): void {
    if (this.#stopped.signal.aborted) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#running = Promise.all([this.#running, this.#run(job)])
    }, job.intervalMs)
    timer.unref()
    this.#timers.add(timer)
  }

  #mayRun(job: Job): boolean {
    return !this.#stopped.signal.aborted && (job.ofEveryNode === true || this.#isLeader())
  }

  async #run(job: Job): Promise<void> {
    try {
      while (this.#mayRun(job) && (await job.step())) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    } catch (error) {
      this.#report(error)
    }
    this.#schedule(job)
  }
}
