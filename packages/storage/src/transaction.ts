/**
 * Write transactions.
 *
 * 1. A transaction is `BEGIN IMMEDIATE`: it has the write lock from its first statement, so that what it read is still
 *    true when it writes.
 * 2. It is synchronous: nothing else of this process runs between its begin and its commit. `spanning` is for the few that
 *    cannot be, on a handle of their own.
 * 3. `immediate` returns only after a COMMIT that SQLite reported durable. When it throws, nothing was committed, with
 *    one exception that no software can take away: after an input/output error the outcome is known only to the disk.
 * 4. After such an error the handle is broken: every later transaction on it is refused at once. A commit whose fsync
 *    failed is never trusted again, and a second fsync that succeeds proves nothing about the first.
 * 5. What must happen because of a commit is registered with `afterCommit` and never happens without it.
 *
 * Reads outside of a transaction go through `read`, so that damage they meet breaks the handle too.
 */
import { MeshError } from '@claudemesh/protocol'
import type BetterSqlite3 from 'better-sqlite3'
import { crashPoint } from './crash-point.ts'
import { classifyStorageFailure, toStorageError } from './storage-error.ts'

/** An open database. */
export type Database = BetterSqlite3.Database
/** A prepared statement with the types of its parameters and of its rows. */
export type Statement<Parameters extends unknown[] = unknown[], Row = unknown> = BetterSqlite3.Statement<
  Parameters,
  Row
>

declare const openTransaction: unique symbol

/** Proof that a write transaction is open. What needs one takes it, and only `immediate` and `spanning` make one. */
export interface Tx {
  readonly [openTransaction]: true
  /**
   * Registers what to do once the transaction is durable, in order of registration. A callback must not throw: the
   * commit cannot be taken back, so an error in one is a mistake of ours and surfaces as an uncaught exception.
   */
  afterCommit(run: () => void): void
}

interface Boundaries {
  readonly begin: Statement
  readonly commit: Statement
  readonly rollback: Statement
}

const boundariesOf = new WeakMap<Database, Boundaries>()
const brokenBy = new WeakMap<Database, unknown>()

/**
 * Runs one write transaction.
 *
 * @returns what `run` returned, after the commit
 * @throws MeshError `insufficient_storage` when the disk is full: nothing was stored and the handle goes on working
 * @throws MeshError `storage_failed` when the disk failed (the handle is broken) or another process held the lock
 */
export function immediate<T>(db: Database, run: (tx: Tx) => T): T {
  const boundaries = prepareToBegin(db)
  const transaction = new OpenTransaction()
  let result: T
  try {
    boundaries.begin.run()
    result = run(transaction)
    if (result instanceof Promise) throw new TypeError('a transaction is synchronous: its function returned a promise')
    commit(boundaries)
  } catch (error) {
    throw abandon(db, transaction, error)
  }
  for (const callback of transaction.close()) runAfterCommit(callback)
  return result
}

/**
 * Runs one write transaction over several turns of the event loop, for what must look at something else (a file) while
 * the database stays as it is. The handle belongs to `run` alone until then; whoever writes through another handle waits,
 * or is told that the database is busy.
 *
 * @throws as `immediate` does
 */
export async function spanning<T>(db: Database, run: (tx: Tx) => Promise<T>): Promise<T> {
  const boundaries = prepareToBegin(db)
  const transaction = new OpenTransaction()
  let result: T
  try {
    boundaries.begin.run()
    result = await run(transaction)
    commit(boundaries)
  } catch (error) {
    throw abandon(db, transaction, error)
  }
  for (const callback of transaction.close()) runAfterCommit(callback)
  return result
}

/** What every transaction begins with: nothing else is under way on a handle that can be trusted. */
function prepareToBegin(db: Database): Boundaries {
  refuseBroken(db)
  if (db.inTransaction) throw new Error('a transaction is already open on this database')
  return prepareBoundaries(db)
}

function commit(boundaries: Boundaries): void {
  crashPoint('transaction.before_commit')
  boundaries.commit.run()
  crashPoint('transaction.committed')
}

/** Ends a transaction that failed. @returns the error to report */
function abandon(db: Database, transaction: OpenTransaction, error: unknown): unknown {
  transaction.close()
  rollBack(db, prepareBoundaries(db))
  return noteFailure(db, error)
}

/**
 * Runs reads outside of a transaction. They go on after the handle is broken: what is there to be read can still be said.
 *
 * @throws MeshError `storage_failed` when the disk failed or the database is damaged: the handle is broken then
 */
export function read<T>(db: Database, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw noteFailure(db, error)
  }
}

/** Whether a failure of the disk made this handle unusable for writing. The process should stop and start again. */
export function isBroken(db: Database): boolean {
  return brokenBy.has(db)
}

/** Marks the handle broken when the error is of that kind, and translates it. */
export function noteFailure(db: Database, error: unknown): unknown {
  if (classifyStorageFailure(error)?.broken === true && !brokenBy.has(db)) brokenBy.set(db, error)
  return toStorageError(error, db.name)
}

class OpenTransaction implements Tx {
  declare readonly [openTransaction]: true
  #callbacks: (() => void)[] | null = []

  afterCommit(run: () => void): void {
    if (this.#callbacks === null) throw new Error('the transaction is over')
    this.#callbacks.push(run)
  }

  /** Ends the registration and hands over what was registered. */
  close(): readonly (() => void)[] {
    const callbacks = this.#callbacks ?? []
    this.#callbacks = null
    return callbacks
  }
}

function refuseBroken(db: Database): void {
  if (!brokenBy.has(db)) return
  throw new MeshError('storage_failed', {
    detail: `an earlier write to this database failed, so no further one is trusted: ${db.name}`,
    cause: brokenBy.get(db),
  })
}

function prepareBoundaries(db: Database): Boundaries {
  let boundaries = boundariesOf.get(db)
  if (boundaries === undefined) {
    boundaries = {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      rollback: db.prepare('ROLLBACK'),
    }
    boundariesOf.set(db, boundaries)
  }
  return boundaries
}

/** SQLite has already rolled back by itself after some errors; `inTransaction` says whether there is anything to do. */
function rollBack(db: Database, boundaries: Boundaries): void {
  if (!db.inTransaction) return
  try {
    boundaries.rollback.run()
  } catch (error) {
    // The first error is the one to report. A transaction that cannot be rolled back must not be joined by the next.
    brokenBy.set(db, error)
  }
}

function runAfterCommit(callback: () => void): void {
  try {
    callback()
  } catch (error) {
    // The caller must not take a committed transaction for a failed one, and the mistake must not go unnoticed.
    queueMicrotask(() => {
      throw error
    })
  }
}
