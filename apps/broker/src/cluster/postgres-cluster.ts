/**
 * Nodes tell each other through LISTEN and NOTIFY, on one connection of each that does nothing else.
 *
 * 1. Notes are sent after the transaction that they are about and outside of it: those that wait while others are on
 *    their way go together.
 * 2. A connection that is lost is made again, with growing pauses. What was to be told meanwhile is told then; what others
 *    told is lost, and `missed` says so.
 * 3. The lead is a lock of that connection: whoever loses it leads no more, and another node finds the lock free.
 */
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import {
  clusterAnswerMsMax,
  clusterLookIntervalMs,
  clusterRetryMsMax,
  clusterRetryMsMin,
  databaseConnectMsMax,
} from '../limits.ts'
import type { Cluster, ClusterEvents } from './cluster.ts'
import { type Note, readNotes } from './note.ts'
import { OutgoingNotes } from './outgoing-notes.ts'
import { channel, statements } from './statements.ts'

export class PostgresCluster implements Cluster {
  readonly #url: string
  readonly #lost: (error: unknown) => void
  readonly #outgoing = new OutgoingNotes()
  readonly #stopped = new AbortController()
  /** What was on its way when the connection broke: it goes again, since nobody would know that it did not arrive. */
  #unsent: readonly string[] = []
  #client: pg.Client | null = null
  #leads = false
  #sending: Promise<void> | null = null
  #running: Promise<void> = Promise.resolve()

  /**
   * @param options `url` of the database, with user and password; `lost` is told each time the connection is lost or
   *   cannot be made
   */
  constructor(options: { readonly url: string; readonly lost: (error: unknown) => void }) {
    this.#url = options.url
    this.#lost = options.lost
  }

  get isLeader(): boolean {
    return this.#leads
  }

  publish(note: Note): void {
    this.#outgoing.add(note)
    this.#send()
  }

  async start(events: ClusterEvents): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#running = this.#run(events, resolve)
    })
  }

  async close(): Promise<void> {
    while (this.#sending !== null) await this.#sending
    this.#stopped.abort()
    await this.#running
  }

  /** @param tried called when the first connection is made or was refused */
  async #run(events: ClusterEvents, tried: () => void): Promise<void> {
    let pauseMs = clusterRetryMsMin
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#serve(events, () => {
          pauseMs = clusterRetryMsMin
          tried()
        })
      } catch (error) {
        tried()
        if (this.#stopped.signal.aborted) return
        this.#lost(error)
      }
      // Apart from each other: a database that restarts has lost all nodes at once.
      await wait(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: this.#stopped.signal }).catch(
        () => undefined,
      )
      pauseMs = Math.min(clusterRetryMsMax, 2 * pauseMs)
    }
  }

  /** Listens on one connection until it is lost, which it throws, or the node stops. */
  async #serve({ receive, missed }: ClusterEvents, connected: () => void): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: 'claudemesh-notes',
      connectionTimeoutMillis: databaseConnectMsMax,
      query_timeout: clusterAnswerMsMax,
      keepAlive: true,
    })
    const broken = new Promise<never>((_, reject) => {
      client.on('error', reject)
      client.on('end', () => reject(new Error('the connection was closed')))
    })
    // It is awaited below, but may be first to fail.
    broken.catch(() => undefined)
    // Ours come back as well.
    let ownPid: number | null = null
    client.on('notification', (notification) => {
      if (notification.channel !== channel || notification.processId === ownPid) return
      for (const note of readNotes(notification.payload ?? '')) receive(note)
    })
    try {
      await client.connect()
      ownPid = pidOf(client)
      await client.query(statements.settings)
      await client.query(statements.listen)
      this.#client = client
      connected()
      missed()
      this.#send()
      await Promise.race([broken, this.#lead(client)])
    } finally {
      this.#client = null
      this.#leads = false
      // Also when it hangs: the server notices by itself.
      await Promise.race([client.end().catch(() => undefined), wait(clusterAnswerMsMax, undefined, { ref: false })])
    }
  }

  /** Tries to take the lead until it has it, and finds out whether the connection still stands; until the node stops. */
  async #lead(client: pg.Client): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      if (this.#leads) await client.query(statements.ping)
      else {
        const { rows } = await client.query<{ leads: boolean }>(statements.tryLead)
        this.#leads = rows[0]?.leads === true
      }
      await wait(clusterLookIntervalMs, undefined, { signal }).catch(() => undefined)
    }
  }

  #send(): void {
    const client = this.#client
    if (client === null || this.#sending !== null || (this.#outgoing.isEmpty && this.#unsent.length === 0)) return
    this.#sending = this.#flush(client).finally(() => {
      this.#sending = null
      this.#send()
    })
  }

  async #flush(client: pg.Client): Promise<void> {
    // What else is said in this turn of the event loop goes along.
    await new Promise((resolve) => setImmediate(resolve))
    if (this.#unsent.length === 0) this.#unsent = this.#outgoing.take()
    try {
      await client.query(statements.notify, [this.#unsent])
      this.#unsent = []
    } catch {
      // Why is told by whoever waits for the end of the connection, which is now.
      if (this.#client === client) this.#client = null
      client.end().catch(() => undefined)
    }
  }
}

/** The process that serves a connection; the library knows it and its types do not say so. */
function pidOf(client: pg.Client): number | null {
  const pid: unknown = Reflect.get(client, 'processID')
  return typeof pid === 'number' ? pid : null
}
