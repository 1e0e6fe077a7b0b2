/**
 * Several changes that are committed together (06 §7): first the bytes of all of them, then one transaction under all of
 * their locks, in which each has its own savepoint. One that fails is undone alone, and keeps nobody waiting.
 */
import { ArtifactError } from '../artifact-error.ts'
import type { Limits } from '../config/limits.ts'
import type { DataPlane } from '../dataplane/spi.ts'
import type { Unit } from '../db/group-writer.ts'
import type { Attempt } from '../db/spi.ts'
import type { ChangeLog, EventLog } from '../events/event-log.ts'
import type { Runtime } from '../runtime.ts'
import { Ingest } from './ingest/ingest.ts'
import type { IngestSlots } from './ingest/ingest-slots.ts'
import { Placing } from './ingest/placing.ts'
import { Removal } from './removal.ts'

/** What a batch is made of: as the operations of the registry that have these names, and not to be awaited before it ends. */
export interface BatchedChanges {
  ingestFile(...o: Parameters<Ingest['ingest']>): ReturnType<Ingest['ingest']>
  addExisting(...o: Parameters<Ingest['addExisting']>): ReturnType<Ingest['addExisting']>
  removeFile(...o: Parameters<Removal['remove']>): ReturnType<Removal['remove']>
}

/** Changes of one batch: their locks are held together. */
const changesMax = 64

interface BatchParts {
  readonly log: EventLog
  readonly plane: DataPlane
  readonly runtime: Runtime
  readonly limits: Limits
  readonly slots: IngestSlots
}

export class Batches {
  readonly #parts: BatchParts

  constructor(parts: BatchParts) {
    this.#parts = parts
  }

  /**
   * Does what `begin` begins, with one commit. What is begun in it must be in what it returns.
   *
   * @example
   * await registry.batch((changes) => files.map((file) => changes.ingestFile(packageId, file)))
   *
   * @returns what became of each change, in their order: those that succeeded are durable; one too many is
   *   `too_many_requests`
   */
  run<T extends readonly Promise<unknown>[]>(begin: (changes: BatchedChanges) => readonly [...T]) {
    return this.#parts.slots.attend(async () => {
      const commit = new SharedCommit(this.#parts.log)
      const begun = begin({
        ingestFile: (...o) => commit.include((log) => this.#ingest(log).ingest(...o)),
        addExisting: (...o) => commit.include((log) => this.#ingest(log).addExisting(...o)),
        removeFile: (...o) => commit.include((log) => new Removal({ ...this.#parts, log }).remove(...o)),
      })
      commit.allBegun()
      return Promise.allSettled(begun)
    })
  }

  #ingest(log: ChangeLog): Ingest {
    const parts = { ...this.#parts, log }
    return new Ingest({ ...parts, placing: new Placing(parts) })
  }
}

interface Waiter {
  readonly unit: Unit<unknown>
  readonly settle: (outcome: Attempt<unknown>) => void
}

/** Changes that wait for each other, and are written in one transaction, in the order in which they were begun. */
class SharedCommit {
  readonly #log: EventLog
  /** By the place of the change in the batch. */
  readonly #waiting = new Map<number, Waiter>()
  #begun = 0
  /** Changes that may still have something to commit. */
  #awaited = 0
  #areAllBegun = false
  #isCommitted = false

  constructor(log: EventLog) {
    this.#log = log
  }

  /** Begins a change. The commit waits for it, unless it ends without having anything to commit. */
  async include<T>(begin: (log: ChangeLog) => Promise<T>): Promise<T> {
    if (this.#begun === changesMax) {
      throw new ArtifactError('too_many_requests', { detail: `A batch has at most ${changesMax} changes.` })
    }
    const place = this.#begun
    this.#begun += 1
    this.#awaited += 1
    const ended = () => {
      if (this.#isCommitted) return
      this.#awaited -= 1
      this.#commitIfComplete()
    }
    const change = begin(this.#logOf(place))
    change.then(ended, ended)
    return change
  }

  allBegun(): void {
    this.#areAllBegun = true
    this.#commitIfComplete()
  }

  #logOf(place: number): ChangeLog {
    const log = this.#log
    return {
      submit: <T>(unit: Unit<T>) => this.#submit(place, unit),
      read: (run) => log.read(run),
      write: (tx, events) => log.write(tx, events),
    }
  }

  #submit<T>(place: number, unit: Unit<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settle = (outcome: Attempt<unknown>) => (outcome.ok ? resolve(outcome.value as T) : reject(outcome.error))
      this.#waiting.set(place, { unit, settle })
      this.#commitIfComplete()
    })
  }

  #commitIfComplete(): void {
    const isComplete = this.#areAllBegun && this.#waiting.size === this.#awaited
    if (!isComplete || this.#isCommitted) return
    this.#isCommitted = true
    if (this.#waiting.size > 0) void this.#commit()
  }

  async #commit(): Promise<void> {
    const waiting = [...this.#waiting].sort(([a], [b]) => a - b).map(([, waiter]) => waiter)
    const outcomes = await this.#log.submitTogether(waiting.map(({ unit }) => unit))
    for (const [index, { settle }] of waiting.entries()) settle(outcomes[index] as Attempt<unknown>)
  }
}
