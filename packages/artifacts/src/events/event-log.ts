/** The log with its database: how everything changes, and how it is followed, replayed and looked at. */
import { ArtifactError } from '../artifact-error.ts'
import { GroupWriter, type Unit } from '../db/group-writer.ts'
import type { Attempt, Database, Session, Tx } from '../db/spi.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import type { Event, NewEvent } from './event.ts'
import { writeEvents } from './log.ts'
import { computeViews, type ReplayResult, rebuildViews, replayInto } from './replay.ts'
import { type TailOptions, tailEvents } from './tail.ts'
import { digestDump, dumpSession } from './views/dump.ts'
import type { ViewWriter } from './views/view-writer.ts'

/** The log as what changes the store needs it. */
export type ChangeLog = Pick<EventLog, 'submit' | 'read' | 'write'>

export class EventLog {
  readonly #database: Database
  readonly #writer: GroupWriter
  readonly #now: () => number
  readonly #tailsMax: number
  readonly #stopped = new AbortController()
  #tails = 0
  #lastWritten = 0

  constructor(o: { readonly database: Database; readonly now: () => number; readonly tailsMax: number }) {
    this.#database = o.database
    this.#writer = new GroupWriter(o.database)
    this.#now = o.now
    this.#tailsMax = o.tailsMax
  }

  /** Runs a change in a transaction that it may share with others. Durable when fulfilled; followers are woken. */
  async submit<T>(unit: Unit<T>): Promise<T> {
    const value = await this.#writer.submit(unit)
    this.#database.announce(this.#lastWritten)
    return value
  }

  /** Runs changes in one transaction, each of which is undone alone when it fails. Those that succeeded are durable then. */
  async submitTogether(units: readonly Unit<unknown>[]): Promise<readonly Attempt<unknown>[]> {
    const outcomes = await this.#writer.submitTogether(units)
    this.#database.announce(this.#lastWritten)
    return outcomes
  }

  /** Runs a change in a transaction of its own, which may take as long as what it does outside of the database. */
  async alone<T>(unit: Unit<T>): Promise<T> {
    const value = await this.#database.write(async (tx) => {
      await tx.lockAddresses(unit.addresses ?? [])
      await tx.lockPackages(unit.packageIds ?? [])
      return unit.run(tx)
    })
    this.#database.announce(this.#lastWritten)
    return value
  }

  /** Writes events in a transaction of `submit`, after everything in it that can fail. */
  async write(tx: Tx, events: readonly NewEvent[]): Promise<readonly Event[]> {
    const written = await writeEvents(tx, events, this.#now())
    this.#lastWritten = Math.max(this.#lastWritten, written.at(-1)?.sequence ?? 0)
    return written
  }

  read<T>(run: (session: Session) => Promise<T>): Promise<T> {
    return this.#database.read(run)
  }

  /**
   * Events after a number, as they are committed, until `signal` aborts or the log is closed.
   *
   * @throws ArtifactError `too_many_requests`, `invalid_cursor`, `log_gap`, `database_unavailable`
   */
  tail(since: number, o: TailOptions = {}): AsyncIterableIterator<Event> {
    return tailEvents(this.#database, since, {
      ...o,
      signal: o.signal === undefined ? this.#stopped.signal : AbortSignal.any([o.signal, this.#stopped.signal]),
      entered: () => this.#enterTail(),
    })
  }

  /**
   * Computes the views anew from the log and puts them in the place of those that are there; with `into`, or up to an
   * event, apart from them.
   *
   * @throws ArtifactError `log_corrupt`: the views are as they were; `busy`, `database_unavailable`
   */
  async replay(o: { readonly into?: ViewWriter; readonly upTo?: number } = {}): Promise<ReplayResult> {
    const upTo = o.upTo === undefined ? {} : { upTo: o.upTo }
    if (o.into !== undefined) return replayInto(this.#database, { writer: o.into, ...upTo })
    return o.upTo === undefined ? rebuildViews(this.#database) : computeViews(this.#database, upTo)
  }

  /** All views as bytes, of one snapshot. */
  async *dump(): AsyncGenerator<Uint8Array> {
    const snapshot = await this.#database.openSnapshot()
    try {
      yield* dumpSession(snapshot.session)
    } finally {
      await snapshot.close()
    }
  }

  /** The BLAKE3 of a dump: equal for equal logs, on every engine. */
  viewStateDigest(): Promise<ContentAddress> {
    return digestDump(this.dump())
  }

  /**
   * Compares the views with what the log says.
   *
   * @throws ArtifactError `log_corrupt`
   */
  async checkViews(): Promise<{ readonly agree: boolean } & ReplayResult> {
    const { view_state_digest, ...result } = await computeViews(this.#database)
    return { agree: view_state_digest === (await this.viewStateDigest()), ...result }
  }

  /** Ends those who follow, and waits for changes under way. */
  async close(): Promise<void> {
    this.#stopped.abort()
    await this.#writer.settled()
  }

  /** @returns what to call when the follower has gone */
  #enterTail(): () => void {
    if (this.#tails >= this.#tailsMax) {
      throw new ArtifactError('too_many_requests', { detail: `The log is followed by ${this.#tailsMax} already.` })
    }
    this.#tails += 1
    return () => {
      this.#tails -= 1
    }
  }
}
