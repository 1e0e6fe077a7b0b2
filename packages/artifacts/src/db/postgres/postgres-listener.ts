/**
 * A connection that waits for notes. It is made again when it is lost, with growing pauses; whoever waits is woken then, as
 * notes may have been missed.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import pg from 'pg'
import { ArtifactError } from '../../artifact-error.ts'
import type { Listener } from '../spi.ts'
import { listen } from './statements.ts'

export const connectMsMax = 10_000
/** After which a listener looks by itself: a note may be lost. */
const waitMsMax = 5_000
const retryMs = { min: 100, max: 5_000 } as const

export class PostgresListener implements Listener {
  readonly #url: string
  readonly #stopped = new AbortController()
  #client: pg.Client | null = null
  #isWoken = false
  #resolve: (() => void) | null = null

  /** @throws ArtifactError `database_unavailable` */
  static async open(url: string): Promise<PostgresListener> {
    const listener = new PostgresListener(url)
    try {
      await listener.#connect()
    } catch (error) {
      throw error instanceof MeshError ? error : new ArtifactError('database_unavailable', { cause: error })
    }
    return listener
  }

  private constructor(url: string) {
    this.#url = url
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (!this.#isWoken && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          this.#resolve = null
          resolve()
        }
        const timer = setTimeout(done, waitMsMax)
        signal.addEventListener('abort', done, { once: true })
        this.#resolve = done
      })
    }
    this.#isWoken = false
  }

  async close(): Promise<void> {
    this.#stopped.abort()
    await this.#client?.end().catch(() => undefined)
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: 'claudemesh-artifact-events',
      connectionTimeoutMillis: connectMsMax,
      keepAlive: true,
    })
    client.on('notification', () => this.#wake())
    let isLost = false
    const lost = () => {
      if (isLost || this.#client !== client) return
      isLost = true
      this.#client = null
      void this.#reconnect()
    }
    client.on('error', lost)
    client.on('end', lost)
    await client.connect()
    await client.query(listen)
    this.#client = client
    if (this.#stopped.signal.aborted) await client.end()
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#stopped
    for (let waitMs: number = retryMs.min; !signal.aborted; waitMs = Math.min(retryMs.max, 2 * waitMs)) {
      await pause(waitMs * (0.5 + Math.random() / 2), undefined, { signal, ref: false }).catch(() => undefined)
      try {
        if (!signal.aborted) await this.#connect()
        this.#wake()
        return
      } catch {
        // The database is away; whoever reads through its own connection hears so.
      }
    }
  }

  #wake(): void {
    this.#isWoken = true
    this.#resolve?.()
  }
}
