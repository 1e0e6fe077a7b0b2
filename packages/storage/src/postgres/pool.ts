/**
 * The connections of one process to its database.
 *
 * 1. A write is one transaction: all of it is durable when it returns, and nothing of it is there when it threw — unless
 *    the connection broke while the commit was under way, when nobody can know. Whoever asks again then finds out: every
 *    operation of the store may be repeated.
 * 2. A transaction that another one made impossible (serialization failure, deadlock) is run again from its start.
 * 3. No connection is used whose settings are not those that were asked for, read back.
 * 4. A lost connection fails what was using it and nothing else. The next use makes a new one, so that a database that
 *    went away and came back needs nobody's help.
 */
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import pg from 'pg'
import { crashPoint } from '../crash-point.ts'
import { isRetryable, toDatabaseError } from './failure.ts'
import { type Session, sessionOf, typeParsers } from './session.ts'
import { boundaries, durableCommits } from './statements.ts'

export interface PoolOptions {
  /** Where the database is, with user and password: `postgres://…` */
  readonly url: string
  readonly applicationName: string
  /** SQL that sets up a connection. It leaves `synchronous_commit` other than off and answers it as "synchronousCommit". */
  readonly settings: string
  readonly connectionsMax: number
  /** From asking for a connection to having one. */
  readonly connectMsMax: number
  /** After which a connection that nobody uses is closed. */
  readonly idleMsMax: number
  /** Of one statement, and of a transaction between two of them. */
  readonly statementMsMax: number
  /** Runs of one transaction that others get in the way of. */
  readonly attemptsMax: number
}

export class Pool {
  readonly #pool: pg.Pool
  readonly #attemptsMax: number

  constructor(o: PoolOptions) {
    this.#attemptsMax = o.attemptsMax
    this.#pool = new pg.Pool({
      connectionString: o.url,
      application_name: o.applicationName,
      max: o.connectionsMax,
      connectionTimeoutMillis: o.connectMsMax,
      idleTimeoutMillis: o.idleMsMax,
      statement_timeout: o.statementMsMax,
      // A process that hangs in the middle of a transaction must not keep its locks.
      idle_in_transaction_session_timeout: o.statementMsMax,
      // The server gives up first, unless it does not answer at all.
      query_timeout: o.statementMsMax + 5_000,
      keepAlive: true,
      types: typeParsers,
      // A connection that is not set so is used by nobody: what it commits might not be durable. The library waits for it,
      // which its types do not say.
      onConnect: (client) => prepareConnection(client, o.settings),
    })
    // An idle connection that breaks has nobody to tell: the pool drops it, and the next use makes another.
    this.#pool.on('error', () => undefined)
    this.#pool.on('connect', (client) => {
      // Between two statements of a transaction too: the next one fails, and says so to whoever waits for it.
      client.on('error', () => undefined)
    })
  }

  /**
   * Runs statements, each of which sees what is committed when it begins.
   *
   * @throws MeshError `storage_unavailable` or `insufficient_storage`; what `run` throws otherwise
   */
  async read<T>(run: (session: Session) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    let connected = true
    try {
      return await run(sessionOf(client))
    } catch (error) {
      connected = await answers(client)
      throw toDatabaseError(error, { connected })
    } finally {
      client.release(!connected)
    }
  }

  /**
   * Runs `run` in a transaction, more than once if others get in its way: outside of the database it must change nothing.
   *
   * @param options `durable` false: a crash of the database may undo it afterwards, as a whole
   * @throws as `read` does
   */
  async write<T>(run: (session: Session) => Promise<T>, { durable = true } = {}): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#transact(run, durable)
      } catch (error) {
        if (!isRetryable(error) || attempt === this.#attemptsMax) throw toDatabaseError(error, { connected: true })
      }
      // Apart from each other, so that the same two do not meet again.
      await wait(Math.random() * Math.min(1_000, 5 * 2 ** attempt))
    }
  }

  /** Waits for what is under way, then closes every connection. */
  close(): Promise<void> {
    return this.#pool.end()
  }

  async #transact<T>(run: (session: Session) => Promise<T>, durable: boolean): Promise<T> {
    const client = await this.#connect()
    let connected = true
    try {
      await client.query(durable ? boundaries.begin : boundaries.beginFleeting)
      const value = await run(sessionOf(client))
      crashPoint('postgres.before_commit')
      const { command } = await client.query(boundaries.commit)
      crashPoint('postgres.committed')
      // PostgreSQL answers the commit of a transaction that had failed by rolling it back.
      assert.equal(command, boundaries.commit, 'a unit of work does not swallow a failed statement')
      return value
    } catch (error) {
      connected = await answers(client)
      throw isRetryable(error) ? error : toDatabaseError(error, { connected })
    } finally {
      client.release(!connected)
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw toDatabaseError(error, { connected: false })
    }
  }
}

/** @throws the server's own error, or MeshError `storage_unavailable` when the server keeps what it commits in memory */
async function prepareConnection(client: pg.ClientBase, settings: string): Promise<void> {
  const { rows } = await client.query<{ synchronousCommit: string }>(settings)
  const { synchronousCommit = 'nothing' } = rows[0] ?? {}
  if (durableCommits.includes(synchronousCommit)) return
  throw new MeshError('storage_unavailable', {
    detail: `the database did not take synchronous_commit = on; it says ${synchronousCommit}`,
    hint: 'Let the user of the database set it.',
  })
}

/** Ends a transaction that failed, if there is one. @returns whether the connection can be used again */
function answers(client: pg.PoolClient): Promise<boolean> {
  return client.query(boundaries.rollback).then(
    () => true,
    () => false,
  )
}
