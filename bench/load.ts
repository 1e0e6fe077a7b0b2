import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What the load generator asks for: the same request again and again, on that many connections at once. */
export interface LoadJob {
  readonly socketPath: string
  readonly path: string
  readonly body: string
  readonly connections: number
  /** For how long, unless `times` says how often. */
  readonly ms: number
  /** Requests per connection. */
  readonly times: number | null
}

export interface LoadResult {
  /** Answers in one second; all of them were of success. */
  readonly perSecond: number
  /** Ascending. */
  readonly latenciesMs: readonly number[]
  /** Of one processor, used by the generator itself. */
  readonly processorShare: number
}

/** The load generator in its process. */
export class LoadGenerator {
  readonly #child: ChildProcess
  #busiest = 0

  constructor() {
    this.#child = fork(processPath('load'))
  }

  async run(job: LoadJob): Promise<LoadResult> {
    const ended = new AbortController()
    const exit = once(this.#child, 'exit', { signal: ended.signal }).then(() => {
      throw new Error('the load generator failed')
    })
    this.#child.send(job)
    const answer = once(this.#child, 'message', { signal: ended.signal })
    const [result] = (await Promise.race([answer, exit])) as [LoadResult]
    // The listener that was not called goes.
    exit.catch(() => undefined)
    ended.abort()
    this.#busiest = Math.max(this.#busiest, result.processorShare)
    return result
  }

  /** How busy it was at most: below 1, it waited for what it measured and not the other way round. */
  note(): string {
    return `load generator: at most ${Math.round(this.#busiest * 100)} % of a processor`
  }

  close(): void {
    this.#child.kill()
  }
}

/** A file of `processes/`, as it is built. */
export function processPath(name: string): string {
  return fileURLToPath(new URL(`./processes/${name}.js`, import.meta.url))
}
