/** The stores of a home: how each is looked at, and what is done with one that is damaged. */
import { existsSync } from 'node:fs'
import { type DaemonPaths, MeshError } from '@claudemesh/protocol'
import {
  closeDatabase,
  type Database,
  immediate,
  listDamage,
  listMigrations,
  openDatabase,
  openForReading,
  type SalvagedTable,
  salvageDatabase,
  schemaVersion,
} from '@claudemesh/storage'
import { completeSalvaged } from '../../inbox/statements.ts'
import type { Runtime } from '../../runtime.ts'

/**
 * How a damaged store comes back. `salvage`: what can be read goes into a new one. `renew`: the daemon makes it anew. `none`:
 * a person has to say what is to be.
 */
export type Remedy = 'salvage' | 'renew' | 'none'

export interface RecoverableStore {
  readonly name: string
  readonly path: string
  /** Null: its owner says what is newer. */
  readonly migrations: URL | null
  readonly remedy: Remedy
  /** What the daemon does about what is lost, or what a person can do. */
  readonly afterwards: string
  /** What is wrong with one whose path is no database. Nothing is written. */
  findFaults?(): Promise<readonly string[]>
  /** Whether what belongs to the file is there though the file is not; no, unless said otherwise. */
  isMissed?(): Promise<boolean>
  /** @returns what was read of `path` into the new database `to` */
  salvage(o: { readonly to: string; readonly runtime: Runtime }): Salvaged | Promise<Salvaged>
}

/** What became of a store that was salvaged. */
export interface Salvaged {
  readonly tables: readonly SalvagedTable[]
  /** What else is to be known of it, in sentences. */
  readonly notes: readonly string[]
}

/** What a look at a store found. */
export interface Finding {
  readonly state: 'sound' | 'missing' | 'damaged' | 'newer'
  /** What is wrong with it, at most a hundred sentences. */
  readonly faults: readonly string[]
}

/** Where the stores of a member are. */
export interface Place {
  readonly paths: DaemonPaths
  /** Null: on a server. */
  readonly artifacts: RecoverableStore | null
  /** Null: where other daemons use it too. */
  readonly spaces: RecoverableStore | null
  /** One for each partition of the history, and for each sink. */
  readonly records: readonly RecoverableStore[]
}

/** All of them, in the order in which a daemon opens them. */
export function storesOf({ paths, artifacts, spaces, records }: Place): readonly RecoverableStore[] {
  return [
    salvageable({
      name: 'outbox',
      path: paths.outboxDatabase,
      schema: 'outbox',
      afterwards: 'what is missing from it and was not accepted by the broker yet was never sent: ask its senders',
    }),
    salvageable({
      name: 'inbox',
      path: paths.inboxDatabase,
      schema: 'inbox',
      // Its successor has an identity of its own, and asks the broker for what is missing.
      without: ['inbox_state'],
      complete: completeSalvaged,
      afterwards: 'the next start fetches what is missing from the history that the broker keeps',
    }),
    salvageable({
      name: 'members',
      path: paths.membersDatabase,
      schema: 'members',
      afterwards: 'the next start learns the members anew; look whether `claudemesh topic list` is as it was',
    }),
    {
      name: 'events',
      path: paths.eventsDatabase,
      migrations: schemaOf('events'),
      remedy: 'renew',
      afterwards: 'readers of events are told to read the stores anew (`resync`)',
      salvage: () => ({ tables: [], notes: [] }),
    },
    ...[artifacts, spaces].filter((store) => store !== null),
    ...records,
  ]
}

/** Of one store. */
const faultsMax = 100

/** Reads all of a store. Nothing is written. @throws MeshError `storage_failed` when the disk fails */
export async function examine(store: RecoverableStore): Promise<Finding> {
  if (!existsSync(store.path)) {
    if ((await store.isMissed?.()) !== true) return { state: 'missing', faults: [] }
    return { state: 'damaged', faults: ['the file is gone, and what belongs to it is there'] }
  }
  if (store.findFaults !== undefined) {
    const faults = await store.findFaults()
    return { state: faults.length > 0 ? 'damaged' : 'sound', faults: faults.slice(0, faultsMax) }
  }
  try {
    const db = openForReading(store.path)
    try {
      const faults = listDamage(db)
      if (faults.length > 0) return { state: 'damaged', faults }
      return { state: isNewer(db, store.migrations) ? 'newer' : 'sound', faults: [] }
    } finally {
      db.close()
    }
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'database_corrupt') throw error
    return { state: 'damaged', faults: [error.message] }
  }
}

function isNewer(db: Database, migrations: URL | null): boolean {
  return migrations !== null && schemaVersion(db) > listMigrations(migrations).length
}

interface Salvageable {
  readonly name: string
  readonly path: string
  /** The folder that has its `schema/`. */
  readonly schema: string
  readonly without?: readonly string[]
  readonly complete?: (db: Database) => void
  readonly afterwards: string
}

function salvageable({ name, path, schema, without, complete, afterwards }: Salvageable): RecoverableStore {
  const migrations = schemaOf(schema)
  return {
    name,
    path,
    migrations,
    remedy: 'salvage',
    afterwards,
    salvage({ to, runtime }) {
      const tables = salvageDatabase({ from: path, to, migrations, now: runtime.now, without: without ?? [] })
      if (complete !== undefined) {
        const db = openDatabase({ path: to, migrations, now: runtime.now })
        immediate(db, () => complete(db))
        closeDatabase(db)
      }
      return { tables, notes: [] }
    },
  }
}

function schemaOf(noun: string): URL {
  return new URL(`../../${noun}/schema/`, import.meta.url)
}
