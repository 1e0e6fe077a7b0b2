/** All SQL of events.db. Rows are mapped here and nowhere else. */
import type { EventType } from '@claudemesh/protocol'
import type { Database, Statement } from '@claudemesh/storage'

export interface StoredEvent {
  readonly id: number
  readonly type: EventType
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly data: Readonly<Record<string, unknown>>
}

/** Where a source stands, and in which of its files. */
export interface CursorPosition {
  readonly generation: string
  readonly position: number
}

/** What holds for the whole file. */
export interface EventsState {
  readonly rebuiltAt: number | null
  /** Ids up to this one may have been given, whether their events are there or not. */
  readonly reservedId: number
  /** Ids above this one were given after the last start that may have lost events. */
  readonly startId: number
}

export class EventStatements {
  readonly #insert: Statement
  readonly #after: Statement
  readonly #afterOfTypes: Statement
  readonly #firstId: Statement
  readonly #lastId: Statement
  readonly #has: Statement
  readonly #seed: Statement
  readonly #raiseSequence: Statement
  readonly #reserve: Statement
  readonly #startAbove: Statement
  readonly #cursor: Statement
  readonly #saveCursor: Statement
  readonly #forgetCursors: Statement
  readonly #state: Statement
  readonly #createState: Statement
  readonly #oldest: Statement
  readonly #removeThrough: Statement

  constructor(db: Database) {
    this.#insert = db.prepare(`INSERT INTO event (type, at, data) VALUES (?, ?, ?)`)
    this.#after = db.prepare(`SELECT id, type, at, data FROM event WHERE id > ? ORDER BY id LIMIT +?`)
    this.#afterOfTypes = db.prepare(`
      SELECT id, type, at, data FROM event
      WHERE id > :id AND type IN (SELECT value FROM json_each(:types)) ORDER BY id LIMIT +:limit`)
    this.#firstId = db.prepare(`SELECT min(id) FROM event`).pluck()
    this.#lastId = db.prepare(`SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)`).pluck()
    this.#has = db.prepare(`SELECT 1 FROM event WHERE id = ?`)
    this.#seed = db.prepare(`INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?)`)
    this.#raiseSequence = db.prepare(`UPDATE sqlite_sequence SET seq = ? WHERE name = 'event'`)
    this.#reserve = db.prepare(`UPDATE events_state SET reserved_id = ? WHERE id = 1`)
    this.#startAbove = db.prepare(`UPDATE events_state SET start_id = ? WHERE id = 1`)
    this.#cursor = db.prepare(`SELECT generation, position FROM cursor WHERE source = ?`)
    this.#saveCursor = db.prepare(`
      INSERT INTO cursor (source, generation, position) VALUES (:source, :generation, :position)
      ON CONFLICT (source) DO UPDATE SET generation = excluded.generation, position = excluded.position
      WHERE excluded.generation <> cursor.generation OR excluded.position >= cursor.position`)
    this.#forgetCursors = db.prepare(`
      DELETE FROM cursor
      WHERE substr(source, 1, length(:prefix)) = :prefix AND source NOT IN (SELECT value FROM json_each(:kept))`)
    this.#state = db.prepare(`
      SELECT rebuilt_at AS rebuiltAt, reserved_id AS reservedId, start_id AS startId FROM events_state WHERE id = 1`)
    this.#createState = db.prepare(`INSERT INTO events_state (id, rebuilt_at) VALUES (1, ?)`)
    this.#oldest = db.prepare(`SELECT id, at FROM event ORDER BY id LIMIT +?`)
    this.#removeThrough = db.prepare(`DELETE FROM event WHERE id <= ?`)
  }

  insert(type: EventType, at: number, dataJson: string): void {
    this.#insert.run(type, at, dataJson)
  }

  after(id: number, limit: number, types: readonly EventType[] | null): StoredEvent[] {
    const records =
      types === null ? this.#after.all(id, limit) : this.#afterOfTypes.all({ id, limit, types: JSON.stringify(types) })
    return records.map(toEvent)
  }

  firstId(): number | null {
    return this.#firstId.get() as number | null
  }

  /** The highest id ever given, also when its event is gone; 0 when none was. */
  lastId(): number {
    return this.#lastId.get() as number
  }

  has(id: number): boolean {
    return this.#has.get(id) !== undefined
  }

  /** Makes ids begin above a number. Only for a table that never had a row. */
  seed(above: number): void {
    this.#seed.run(above)
  }

  /** Ids up to this one may be given. */
  reserve(throughId: number): void {
    this.#reserve.run(throughId)
  }

  /** Makes the next id come after this one, which is above every one that was given. */
  startAbove(id: number): void {
    if (this.#raiseSequence.run(id).changes === 0) this.#seed.run(id)
    this.#startAbove.run(id)
  }

  cursor(source: string): CursorPosition | null {
    return (this.#cursor.get(source) as CursorPosition | undefined) ?? null
  }

  saveCursor(source: string, to: CursorPosition): void {
    const { changes } = this.#saveCursor.run({ source, ...to })
    if (changes !== 1) throw new Error(`the event cursor of ${source} would move back to ${to.position}`)
  }

  forgetCursors(prefix: string, kept: readonly string[]): void {
    this.#forgetCursors.run({ prefix, kept: JSON.stringify(kept) })
  }

  state(): EventsState | null {
    return (this.#state.get() as EventsState | undefined) ?? null
  }

  createState(rebuiltAt: number | null): void {
    this.#createState.run(rebuiltAt)
  }

  oldest(limit: number): { readonly id: number; readonly at: number }[] {
    return this.#oldest.all(limit) as { id: number; at: number }[]
  }

  /** @returns how many were removed */
  removeThrough(id: number): number {
    return this.#removeThrough.run(id).changes
  }
}

function toEvent(record: unknown): StoredEvent {
  const row = record as { id: number; type: EventType; at: number; data: string }
  return { id: row.id, type: row.type, at: row.at, data: JSON.parse(row.data) as Record<string, unknown> }
}
