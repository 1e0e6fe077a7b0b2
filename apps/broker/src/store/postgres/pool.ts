/**
 * The connections of one broker to its database.
 *
 * 1. A write is one transaction: all of it is durable when it returns, and nothing of it is there when it threw — unless
 *    the connection broke while the commit was under way, when nobody can know. Whoever asks again then finds out: every
 *    operation of the store may be repeated.
 * 2. A transaction that another one made impossible (serialization failure, deadlock) is run again from its start.
 * 3. A lost connection fails what was using it and nothing else. The next use makes a new one, so that a database that
 *    went away and came back needs nobody's help.
 */
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import {
  databaseConnectionsMax,
  databaseConnectMsMax,
  databaseIdleMsMax,
  databaseStatementMsMax,
  databaseTransactionsMax,
} from '../../limits.ts'
import { isRetryable, toStorageError } from './failure.ts'
import { type Session, sessionOf, typeParsers } from './session.ts'
import { boundaries, connectionSettings } from './statements.ts'

export class Pool {
  readonly #pool: pg.Pool

  /** @param url where the database is, with user and password: `postgres://…` */
  constructor(url: string) {
    this.#pool = new pg.Pool({
      connectionString: url,
      application_name: 'claudemesh-broker',
      max: databaseConnectionsMax,
      connectionTimeoutMillis: databaseConnectMsMax,
      idleTimeoutMillis: databaseIdleMsMax,
      statement_timeout: databaseStatementMsMax,
      // A node that hangs in the middle of a transaction must not keep the locks of a mesh.
      idle_in_transaction_session_timeout: databaseStatementMsMax,
      // The server gives up first, unless it does not answer at all.
      query_timeout: databaseStatementMsMax + 5_000,
      keepAlive: true,
      types: typeParsers,
    })
    // An idle connection that breaks has nobody to tell: the pool drops it, and the next use makes another.
    this.#pool.on('error', () => undefined)
    this.#pool.on('connect', (client) => {
      // Between two statements of a transaction too: the next one fails, and says so to whoever waits for it.
      client.on('error', () => undefined)
      client.query(connectionSettings).catch(() => undefined)
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
      throw toStorageError(error, { connected })
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
        if (!isRetryable(error) || attempt === databaseTransactionsMax) throw toStorageError(error, { connected: true })
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
      const { command } = await client.query(boundaries.commit)
      // PostgreSQL answers the commit of a transaction that had failed by rolling it back.
      assert.equal(command, boundaries.commit, 'a unit of work does not swallow a failed statement')
      return value
    } catch (error) {
      connected = await answers(client)
      throw isRetryable(error) ? error : toStorageError(error, { connected })
    } finally {
      client.release(!connected)
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw toStorageError(error, { connected: false })
    }
  }
}

/** Ends a transaction that failed, if there is one. @returns whether the connection can be used again */
function answers(client: pg.PoolClient): Promise<boolean> {
  return client.query(boundaries.rollback).then(
    () => true,
    () => false,
  )
}
