/**
 * Operations that wait together share one transaction and one fsync (06 §7).
 *
 * 1. All locks of a batch are taken first, in the one order of everybody; then each operation runs in a savepoint.
 * 2. One that fails is undone alone, its numbers of the log included, and hears so at once after the commit of the others.
 * 3. A batch that fails as a whole has stored nothing. When the reason may be one of its operations, each is tried alone.
 */
import { MeshError } from '@claudemesh/protocol'
import type { ContentAddress } from '../identity/content-address.ts'
import type { Attempt, Database, Tx } from './spi.ts'

/** What changes the store: what it locks, and what it does, which may be run more than once. */
export interface Unit<T> {
  readonly addresses?: readonly ContentAddress[]
  readonly packageIds?: readonly string[]
  readonly run: (tx: Tx) => Promise<T>
}

const unitsMax = 64

interface Waiter {
  readonly unit: Unit<unknown>
  readonly settle: (outcome: Attempt<unknown>) => void
}

export class GroupWriter {
  readonly #database: Database
  #waiting: Waiter[] = []
  #writing: Promise<void> | null = null

  constructor(database: Database) {
    this.#database = database
  }

  /** Fulfilled when what the unit wrote is durable. */
  submit<T>(unit: Unit<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settle = (outcome: Attempt<unknown>) => {
        if (outcome.ok) resolve(outcome.value as T)
        else reject(outcome.error)
      }
      this.#waiting.push({ unit, settle })
      this.#start()
    })
  }

  /** Runs units in one transaction. @returns what became of each; those that succeeded are durable */
  submitTogether(units: readonly Unit<unknown>[]): Promise<readonly Attempt<unknown>[]> {
    return this.#write(units)
  }

  /** Resolves when everything that was submitted is settled. */
  async settled(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  #start(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null
      if (this.#waiting.length > 0) this.#start()
    })
  }

  async #writeAll(): Promise<void> {
    // What else is submitted in this turn of the event loop goes along.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, unitsMax)
      const outcomes = await this.#write(batch.map(({ unit }) => unit))
      for (const [index, { settle }] of batch.entries()) settle(outcomes[index] as Attempt<unknown>)
    }
  }

  async #write(units: readonly Unit<unknown>[]): Promise<readonly Attempt<unknown>[]> {
    try {
      return await this.#database.write(async (tx) => {
        await tx.lockAddresses(units.flatMap(({ addresses = [] }) => addresses))
        await tx.lockPackages(units.flatMap(({ packageIds = [] }) => packageIds))
        const [only] = units
        if (units.length === 1 && only !== undefined) return [{ ok: true, value: await only.run(tx) }]
        const outcomes: Attempt<unknown>[] = []
        for (const unit of units) outcomes.push(await tx.attempt(() => unit.run(tx)))
        return outcomes
      })
    } catch (error) {
      if (units.length === 1 || error instanceof MeshError) return units.map(() => ({ ok: false, error }))
      const alone: Attempt<unknown>[] = []
      for (const unit of units) alone.push(...(await this.#write([unit])))
      return alone
    }
  }
}
