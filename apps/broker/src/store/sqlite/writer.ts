/**
 * Every write of the engine: units of work that wait together share one transaction and one fsync.
 *
 * 1. A unit is done when its promise is: after the commit.
 * 2. A unit that throws leaves nothing of itself, and its neighbours are committed all the same.
 * 3. A failure of the storage fails every unit of the transaction: none of them is durable.
 */
import { type Database, GroupCommit, type Tx } from '@claudemesh/storage'
import { worksPerCommitMax } from '../../limits.ts'
import { prepareBoundaries } from './statements.ts'

/** Runs one unit. What it returns is kept by the unit itself; what comes back here is only whether it threw. */
type Work = (tx: Tx) => void
type WorkOutcome = { readonly ok: true } | { readonly ok: false; readonly error: unknown }

export class Writer {
  readonly #db: Database
  readonly #boundaries: ReturnType<typeof prepareBoundaries>
  readonly #commits: GroupCommit<Work, WorkOutcome>

  constructor(db: Database) {
    this.#db = db
    this.#boundaries = prepareBoundaries(db)
    this.#commits = new GroupCommit({ db, itemsMax: worksPerCommitMax, run: (tx, works) => this.#run(tx, works) })
  }

  /** Does `work` in a transaction of its own or one that it shares; what it returns is handed out after the commit. */
  async write<T>(work: (tx: Tx) => T): Promise<T> {
    let done: { readonly value: T } | null = null
    const outcome = await this.#commits.submit((tx) => {
      done = { value: work(tx) }
    })
    if (!outcome.ok) throw outcome.error
    return assertDone<T>(done)
  }

  /** Says that somebody has just connected: what is written in a handshake is committed with that of others. */
  expectMore(): void {
    this.#commits.expectMore()
  }

  /** Commits what waits. */
  drain(): Promise<void> {
    return this.#commits.drain()
  }

  #run(tx: Tx, works: readonly Work[]): readonly WorkOutcome[] {
    const [only] = works
    if (only !== undefined && works.length === 1) {
      // Alone it needs no boundary of its own: its failure is that of the transaction.
      only(tx)
      return [{ ok: true }]
    }
    return works.map((work) => this.#runApart(tx, work))
  }

  #runApart(tx: Tx, work: Work): WorkOutcome {
    this.#boundaries.savepoint()
    try {
      work(tx)
    } catch (error) {
      if (!isOurs(this.#db, error)) throw error
      this.#boundaries.rollback()
      this.#boundaries.release()
      return { ok: false, error }
    }
    this.#boundaries.release()
    return { ok: true }
  }
}

/** Whether only this unit is to blame. After a failure of the disk or of space nothing in the transaction goes on. */
function isOurs(db: Database, error: unknown): boolean {
  if (!db.inTransaction) return false
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return !code.startsWith('SQLITE_') || code.startsWith('SQLITE_CONSTRAINT')
}

function assertDone<T>(done: { readonly value: T } | null): T {
  if (done === null) throw new Error('a unit of work was reported done without having run')
  return done.value
}
