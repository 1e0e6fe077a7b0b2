import type { Pool } from '@claudemesh/storage/postgres'
import { prepare } from '@claudemesh/storage/postgres'
import { announce, channel } from './statements.ts'

const notify = prepare(announce)

/** Tells listeners on all hosts how far the log has come, one note at a time: what grows meanwhile is told together. */
export class Announcer {
  readonly #pool: Pool
  #told = 0
  #last = 0
  #telling: Promise<void> | null = null

  constructor(pool: Pool) {
    this.#pool = pool
  }

  announce(lastSequence: number): void {
    this.#last = Math.max(this.#last, lastSequence)
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = null
    })
  }

  async settled(): Promise<void> {
    await this.#telling
  }

  async #tell(): Promise<void> {
    while (this.#told < this.#last) {
      const last = this.#last
      try {
        await this.#pool.read((connection) => connection.query(notify, [channel, String(last)]))
      } catch {
        // A note only wakes, and listeners look by themselves every few seconds.
        return
      }
      this.#told = last
    }
  }
}
