/**
 * Stored events with ids that only grow: what `GET /v1/events` streams and resumes from (03 §2).
 *
 * 1. A batch of events and the cursor of the source it came from are one commit: after a crash the source goes on
 *    exactly behind the last event that exists, so there is neither a gap nor a repetition.
 * 2. Listeners hear of events only after their commit. Being heard is a hint; the table is the truth.
 * 3. Commits of what can be made again from its source are not synced one by one: its row is on the disk before it comes
 *    here. A power cut may take the last events with the place they reach, and they are made again, under new ids.
 * 4. An id is never given twice. Ids are reserved, by a commit that is synced, before any of them is given, and after a
 *    start that finds some reserved beyond its events they begin above these. The ids of the successor of a damaged
 *    file begin above every possible one of the old. A reader that resumes from an id whose event is lost is told to
 *    read anew instead of missing events.
 *
 * It does not know what the sources are.
 */
import { type EventType, MeshError } from '@claudemesh/protocol'
import {
  closeDatabase,
  crashPoint,
  type Database,
  immediate,
  isBroken,
  schemaVersion,
  synced,
  type Tx,
} from '@claudemesh/storage'
import { eventIdsReserved } from '../limits.ts'
import { openReplaceable } from '../quarantine.ts'
import type { Runtime } from '../runtime.ts'
import { type CursorPosition, EventStatements, type EventsState, type StoredEvent } from './statements.ts'

export type { CursorPosition, StoredEvent } from './statements.ts'

export interface NewEvent {
  readonly type: EventType
  readonly data: Readonly<Record<string, unknown>>
}

/** A source and how far it has been turned into events. */
export interface SourceCursor extends CursorPosition {
  readonly source: 'inbox' | 'outbox' | 'shares' | `space:${string}` | `hook:${string}`
}

export interface EventBounds {
  /** The oldest event that is kept; one above `lastId` when none is. */
  readonly firstId: number
  /** The newest id that was ever given, 0 when none was. */
  readonly lastId: number
}

export class Events {
  readonly #db: Database
  readonly #statements: EventStatements
  readonly #runtime: Runtime
  readonly #listeners = new Set<() => void>()
  /** Ids up to this one may be given without a commit that is synced. */
  #reservedId: number
  #startId: number
  /** Where the ids of this start begin, as soon as there is one; null: they go on where they are. */
  #nextStartId: number | null = null
  /** When this file took the place of a damaged one, else null. */
  readonly rebuiltAt: number | null

  /**
   * Opens the events. A damaged file is moved aside: readers are told to read anew (invariant 3).
   *
   * @param options.succeeds whether a file that is made takes the place of one that is gone on purpose
   */
  static open(options: { readonly path: string; readonly runtime: Runtime; readonly succeeds?: boolean }): Events {
    const { path, runtime, succeeds = false } = options
    const migrations = new URL('./schema/', import.meta.url)
    const { db, predecessor } = openReplaceable({ path, migrations, now: runtime.now, syncs: 'checkpoints' })
    const statements = new EventStatements(db)
    const isSuccessor = succeeds || predecessor !== null
    const state = statements.state() ?? createState({ db, statements, runtime, isSuccessor })
    return new Events({ db, statements, runtime, state })
  }

  private constructor(parts: { db: Database; statements: EventStatements; runtime: Runtime; state: EventsState }) {
    const { rebuiltAt, reservedId, startId } = parts.state
    this.#db = parts.db
    this.#statements = parts.statements
    this.#runtime = parts.runtime
    this.rebuiltAt = rebuiltAt
    this.#reservedId = reservedId
    this.#startId = startId
    // One more, which no event has: whoever has seen that id has seen nothing of what may be lost.
    if (reservedId > this.#statements.lastId()) this.#nextStartId = reservedId + 1
  }

  /** Gives back the ids that were reserved in vain, and closes the file. */
  close(): void {
    this.#listeners.clear()
    if (!this.#db.open) return
    try {
      if (this.#nextStartId === null) synced(this.#db, () => this.#statements.reserve(this.#statements.lastId()))
    } catch (error) {
      // The next start begins above them.
      if (!(error instanceof MeshError)) throw error
    }
    closeDatabase(this.#db)
  }

  get broken(): boolean {
    return isBroken(this.#db)
  }

  get schemaVersion(): number {
    return schemaVersion(this.#db)
  }

  /**
   * Stores a batch, and with it how far its source has been read. Without a source it is synced at once.
   *
   * @returns whether all events that there are are on the disk now, also after a power cut
   * @throws MeshError `insufficient_storage` or `storage_failed`; then neither is stored
   */
  append(events: readonly NewEvent[], cursor: SourceCursor | null = null): boolean {
    if (events.length === 0 && cursor === null) return false
    const at = this.#runtime.now()
    const lastId = (this.#nextStartId ?? this.#statements.lastId()) + events.length
    const isSynced = cursor === null || lastId > this.#reservedId
    const run = isSynced ? synced : immediate
    run(this.#db, (tx) => {
      if (isSynced) this.#reserve(tx, lastId + eventIdsReserved)
      for (const event of events) this.#statements.insert(event.type, at, JSON.stringify(event.data))
      if (cursor !== null) this.#statements.saveCursor(cursor.source, cursor)
      crashPoint('daemon.publish.before-commit')
      tx.afterCommit(() => this.#announce(events.length))
    })
    crashPoint('daemon.publish.after-commit')
    return isSynced
  }

  #reserve(tx: Tx, throughId: number): void {
    const startId = this.#nextStartId
    if (startId !== null) this.#statements.startAbove(startId)
    this.#statements.reserve(throughId)
    tx.afterCommit(() => {
      this.#reservedId = throughId
      this.#startId = startId ?? this.#startId
      this.#nextStartId = null
    })
  }

  /** Whether a reader that saw this id last can go on behind it, and misses nothing. */
  isResumable(id: number): boolean {
    const { firstId, lastId } = this.bounds()
    if (id < firstId - 1 || id > lastId) return false
    return id === firstId - 1 || id >= this.#startId || this.#statements.has(id)
  }

  /**
   * Events behind an id, oldest first.
   *
   * @param types null for all; a filtered answer that is shorter than `limit` has seen everything up to `lastId`
   */
  after(id: number, limit: number, types: readonly EventType[] | null = null): StoredEvent[] {
    return this.#statements.after(id, limit, types)
  }

  bounds(): EventBounds {
    const lastId = this.#statements.lastId()
    return { firstId: this.#statements.firstId() ?? lastId + 1, lastId }
  }

  cursor(source: SourceCursor['source']): CursorPosition | null {
    return this.#statements.cursor(source)
  }

  /** Forgets how far each source of a prefix was, but those that are named. */
  forgetSources(prefix: 'hook:', kept: readonly string[]): void {
    const sources = kept.map((name) => `${prefix}${name}`)
    immediate(this.#db, () => this.#statements.forgetCursors(prefix, sources))
  }

  /** Calls back after each commit that added events. @returns what ends it */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /**
   * Removes the oldest events beyond a number and an age.
   *
   * @param options.rowsMax bound of one transaction; as many removed rows say that there may be more
   * @returns how many were removed
   */
  retain(options: {
    readonly now: number
    readonly ageMsMax: number
    readonly countMax: number
    readonly rowsMax: number
  }): number {
    const { lastId } = this.bounds()
    const isOver = (event: { id: number; at: number }) =>
      event.id <= lastId - options.countMax || event.at < options.now - options.ageMsMax
    const oldest = this.#statements.oldest(options.rowsMax)
    const kept = oldest.findIndex((event) => !isOver(event))
    const last = (kept === -1 ? oldest : oldest.slice(0, kept)).at(-1)
    if (last === undefined) return 0
    return immediate(this.#db, () => this.#statements.removeThrough(last.id))
  }

  #announce(count: number): void {
    if (count === 0) return
    for (const listener of this.#listeners) listener()
  }
}

function createState(parts: {
  db: Database
  statements: EventStatements
  runtime: Runtime
  isSuccessor: boolean
}): EventsState {
  const { db, statements, runtime, isSuccessor } = parts
  const rebuiltAt = isSuccessor ? runtime.now() : null
  synced(db, () => {
    statements.createState(rebuiltAt)
    // Milliseconds since the epoch outrun every count of events that a file can have reached.
    if (rebuiltAt !== null) statements.seed(rebuiltAt)
  })
  return { rebuiltAt, reservedId: 0, startId: 0 }
}
