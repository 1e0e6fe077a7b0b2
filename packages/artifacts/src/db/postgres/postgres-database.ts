/**
 * The engine for many hosts: the schema `artifacts` of one PostgreSQL database.
 *
 * 1. A commit is durable when it is answered, whatever the default of the database is.
 * 2. Locks are those of the database: of addresses advisory, of packages and of the log's head their rows.
 * 3. Views are rebuilt in a schema beside the one that is read and take its place in one transaction.
 */
import { once } from 'node:events'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { type Session as Connection, isRetryable, migratePostgres, Pool } from '@claudemesh/storage/postgres'
import { ArtifactError } from '../../artifact-error.ts'
import { attemptsMax, retryBusy, toUnavailable } from '../retry.ts'
import type { Database, Listener, Session, Snapshot, Tx } from '../spi.ts'
import { viewNames } from '../view-names.ts'
import { Announcer } from './announcer.ts'
import { connectMsMax, PostgresListener } from './postgres-listener.ts'
import { PostgresSession, PostgresTx } from './postgres-session.ts'
import {
  addReference,
  boundaries,
  connectionSettings,
  dropTable,
  lockHead,
  makeShadowTable,
  moveShadowTable,
  rebuilding,
  schema,
  selectReferences,
} from './statements.ts'

type Fill = Parameters<Database['rebuild']>[0]

/** How the connections of a store call themselves. */
export const applicationName = 'claudemesh-artifacts'

export class PostgresDatabase implements Database {
  readonly engine = 'postgres'
  readonly #url: string
  readonly #pool: Pool
  readonly #announcer: Announcer

  /** @throws MeshError `schema_too_new`, `start_failed`; ArtifactError `database_unavailable` */
  static async open(o: { readonly url: string; readonly now: () => number }): Promise<PostgresDatabase> {
    const { url, now } = o
    const directory = new URL('../migrations/postgres/', import.meta.url)
    await translated(() => migratePostgres({ url, applicationName, connectMsMax, schema, directory, now }))
    const database = new PostgresDatabase(url)
    await database.#dropLeftShadow()
    return database
  }

  private constructor(url: string) {
    this.#url = url
    this.#pool = new Pool({
      url,
      applicationName,
      settings: connectionSettings,
      connectionsMax: 8,
      connectMsMax,
      idleMsMax: 60_000,
      statementMsMax: 60_000,
      attemptsMax,
    })
    this.#announcer = new Announcer(this.#pool)
  }

  read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return translated(() =>
      this.#pool.read(async (connection) => {
        await connection.execute(boundaries.beginSnapshot)
        const value = await work(new PostgresSession(connection))
        await connection.execute(boundaries.commit)
        return value
      }),
    )
  }

  openSnapshot(): Promise<Snapshot> {
    return new Promise((resolve, reject) => {
      const closing = new AbortController()
      const done = this.read(async (session) => {
        const close = () => {
          closing.abort()
          return done
        }
        resolve({ session, close })
        if (!closing.signal.aborted) await once(closing.signal, 'abort')
      })
      done.catch(reject)
    })
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return translated(() => this.#pool.write((connection) => work(new PostgresTx(connection))))
  }

  rebuild(fill: Fill): Promise<void> {
    const rebuild = () => this.#pool.read((connection) => locked(connection, () => rebuildOn(connection, fill)))
    return translated(() => retryBusy(rebuild))
  }

  async listen(): Promise<Listener> {
    return PostgresListener.open(this.#url)
  }

  announce(lastSequence: number): void {
    this.#announcer.announce(lastSequence)
  }

  async close(): Promise<void> {
    await this.#announcer.settled()
    await this.#pool.close()
  }

  /** What a rebuild that was killed has left; somebody else's that is under way is left alone. */
  async #dropLeftShadow(): Promise<void> {
    try {
      await this.#pool.read((connection) => locked(connection, () => connection.execute(rebuilding.dropShadow)))
    } catch (error) {
      if (!(error instanceof ArtifactError) || error.code !== 'busy') throw toUnavailable(error)
    }
  }
}

async function rebuildOn(connection: Connection, fill: Fill): Promise<void> {
  const session = new PostgresSession(connection)
  try {
    await transact(connection, async () => {
      await connection.execute(rebuilding.relax)
      await connection.execute(rebuilding.dropShadow)
      await connection.execute(rebuilding.makeShadow)
      for (const table of viewNames) await session.execute(makeShadowTable(table))
      await connection.execute(rebuilding.useShadow)
      await fill(session, 'begin')
    })
    crashPoint('artifacts.replay.filled')
    await transact(connection, async () => {
      const references = await connection.query<Parameters<typeof addReference>[0]>(selectReferences)
      await connection.execute(lockHead)
      await connection.execute(rebuilding.useShadow)
      await fill(session, 'catch_up')
      for (const table of [...viewNames].reverse()) await session.execute(dropTable(table))
      for (const reference of references) await session.execute(addReference(reference))
      for (const table of viewNames) await session.execute(moveShadowTable(table))
      crashPoint('artifacts.replay.swapped')
    })
  } finally {
    await connection.execute(boundaries.rollback)
    await connection.execute(rebuilding.dropShadow)
  }
}

async function transact(connection: Connection, work: () => Promise<void>): Promise<void> {
  await connection.execute(boundaries.begin)
  await work()
  await connection.execute(boundaries.commit)
}

/** @throws ArtifactError `busy`: another process rebuilds */
async function locked<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  const [row] = await connection.query<{ locked: boolean }>(rebuilding.tryLock)
  if (row?.locked !== true) {
    throw new ArtifactError('busy', { detail: 'The views are being rebuilt by another process.' })
  }
  try {
    return await work()
  } finally {
    await connection.execute(rebuilding.unlock)
  }
}

async function translated<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof MeshError && isRetryable(error.cause)) throw new ArtifactError('busy', { cause: error })
    throw toUnavailable(error)
  }
}
