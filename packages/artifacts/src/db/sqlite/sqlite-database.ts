/**
 * The engine for one host: a file in WAL mode with `synchronous=FULL`.
 *
 * 1. One handle writes, one transaction at a time; a transaction may span turns of the event loop, as it holds the lock
 *    of an address while it asks for the object. Another handle reads meanwhile what was committed before.
 * 2. The write lock of the file is the lock of every address and every package, over all processes.
 * 3. No call waits for a lock inside of SQLite, where the event loop would stand still: it is tried again from outside.
 */
import { closeDatabase, type Database as Handle, openDatabase, openForReading, spanning } from '@claudemesh/storage'
import { retryBusy } from '../retry.ts'
import type { Attempt, Database, Listener, Session, Snapshot, Tx } from '../spi.ts'
import { Turns } from '../turns.ts'
import { SqliteListener, Wakeups } from './sqlite-listener.ts'
import { SqliteSession } from './sqlite-session.ts'
import { assertReferences, boundaries, defineFunctions, neverWait, run, withoutReferences } from './statements.ts'

/** The migrations of the engine, with a slash at the end. */
export const sqliteMigrations = new URL('../migrations/sqlite/', import.meta.url)

export class SqliteDatabase implements Database {
  readonly engine = 'sqlite'
  readonly #path: string
  readonly #writer: Handle
  readonly #reader: Handle
  readonly #writing = new Turns()
  readonly #reading = new Turns()
  readonly #tx: SqliteTx
  readonly #readSession: SqliteSession
  readonly #wakeups = new Wakeups()

  /** @throws MeshError `database_corrupt`, `schema_too_new`, `unsafe_permissions`, `insufficient_storage`, `start_failed` */
  static open(o: { readonly path: string; readonly now: () => number }): SqliteDatabase {
    const writer = openDatabase({ path: o.path, migrations: sqliteMigrations, now: o.now })
    try {
      neverWait(writer)
      return new SqliteDatabase(o.path, writer, openReader(o.path))
    } catch (error) {
      closeDatabase(writer)
      throw error
    }
  }

  private constructor(path: string, writer: Handle, reader: Handle) {
    this.#path = path
    this.#writer = writer
    this.#reader = reader
    this.#tx = new SqliteTx(writer)
    this.#readSession = new SqliteSession(reader)
  }

  read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#reading.take(() => snapshot(this.#reader, () => work(this.#readSession)))
  }

  async openSnapshot(): Promise<Snapshot> {
    const handle = openReader(this.#path)
    run(handle, boundaries.beginSnapshot)
    return { session: new SqliteSession(handle), close: async () => void handle.close() }
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#writing.take(() => retryBusy(() => spanning(this.#writer, () => work(this.#tx))))
  }

  /**
   * In one transaction: readers have their snapshots. That rows refer to rows that are there is looked at once, at its end;
   * to do so for each row, of those that go too, takes longer than all else.
   */
  rebuild(fill: Parameters<Database['rebuild']>[0]): Promise<void> {
    return this.#writing.take(() =>
      retryBusy(() =>
        withoutReferences(this.#writer, () =>
          spanning(this.#writer, async () => {
            await fill(this.#tx, 'begin')
            assertReferences(this.#writer)
          }),
        ),
      ),
    )
  }

  async listen(): Promise<Listener> {
    return new SqliteListener(openReader(this.#path), this.#wakeups)
  }

  announce(): void {
    this.#wakeups.wake()
  }

  async close(): Promise<void> {
    await this.#writing.settled()
    await this.#reading.settled()
    this.#reader.close()
    closeDatabase(this.#writer)
  }
}

class SqliteTx extends SqliteSession implements Tx {
  readonly #db: Handle

  constructor(db: Handle) {
    super(db)
    this.#db = db
  }

  /** The transaction has the one lock there is. */
  async lockAddresses(): Promise<void> {
    return
  }

  async lockPackages(): Promise<void> {
    return
  }

  async attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
    run(this.#db, boundaries.savepoint)
    try {
      const value = await work()
      run(this.#db, boundaries.release)
      return { ok: true, value }
    } catch (error) {
      // After some errors SQLite has rolled back all of it by itself.
      if (!this.#db.inTransaction) throw error
      run(this.#db, boundaries.undo)
      run(this.#db, boundaries.release)
      return { ok: false, error }
    }
  }
}

function openReader(path: string): Handle {
  const handle = openForReading(path)
  defineFunctions(handle)
  return handle
}

async function snapshot<T>(handle: Handle, work: () => Promise<T>): Promise<T> {
  run(handle, boundaries.beginSnapshot)
  try {
    const value = await work()
    run(handle, boundaries.end)
    return value
  } catch (error) {
    if (handle.inTransaction) run(handle, boundaries.rollback)
    throw error
  }
}
