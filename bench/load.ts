import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What the load generator asks for: the same request again and again, on that many connections at once. */
export interface HttpLoadJob {
  readonly socketPath: string
  readonly path: string
  readonly body: string
  readonly connections: number
  /** When each connection stops. */
  readonly until: { readonly ms: number } | { readonly answers: number }
}

/** Its connections stand already; it sends for that long. */
export interface BrokerLoadJob {
  readonly ms: number
}

/** Members of the broker that post and receive a number of messages. */
export type DrainJob = { readonly post: number } | { readonly receive: number }

export interface DrainResult {
  readonly perSecond: number
  /** Of the generator itself. */
  readonly residentMiB: number
}

/** One message to a topic, or one to each of its subscribers. */
export interface FanOutJob {
  readonly one: 'to all' | 'to each'
}

export interface FanOutResult {
  /** Deliveries, until every member had its own. */
  readonly perSecond: number
}

export interface LoadResult {
  /** Answers in one second, by HTTP requests or by messages; all of them were of success. */
  readonly perSecond: number
  /** Ascending. */
  readonly latenciesMs: readonly number[]
  /** Of one processor, used by the generator itself. */
  readonly processorShare: number
}

/** A load generator in its process. */
export class LoadGenerator<Job extends HttpLoadJob | BrokerLoadJob = HttpLoadJob> {
  readonly #child: ChildProcess
  #busiest = 0

  /** Returns when the generator is ready for a job. */
  static async start<Job extends HttpLoadJob | BrokerLoadJob = HttpLoadJob>(
    name: 'http-load' | 'broker-load',
    args: readonly string[] = [],
  ): Promise<LoadGenerator<Job>> {
    return new LoadGenerator<Job>(await forkReady(name, args))
  }

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  async run(job: Job): Promise<LoadResult> {
    const result = (await askProcess(this.#child, job)) as LoadResult
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

/** Starts a file of `processes/`, as it is built, and waits until it says that it is ready. */
export async function forkReady(name: string, args: readonly string[]): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL(`./processes/${name}.js`, import.meta.url)), args)
  await nextMessage(child)
  return child
}

/** Sends one message and waits for the answer. */
export function askProcess(child: ChildProcess, job: object): Promise<unknown> {
  const answer = nextMessage(child)
  child.send(job)
  return answer
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const done = new AbortController()
  const ended = once(child, 'exit', { signal: done.signal }).then(() => {
    throw new Error('a process of the benchmark failed')
  })
  try {
    const [message] = (await Promise.race([once(child, 'message', { signal: done.signal }), ended])) as [unknown]
    return message
  } finally {
    // Whichever did not happen is no longer waited for.
    ended.catch(() => undefined)
    done.abort()
  }
}
