import { existsSync, rmSync } from 'node:fs'
import { openForReading, type SalvagedTable, salvageDatabase } from '@claudemesh/storage'
import { SqliteDatabase, sqliteMigrations } from '../db/sqlite/sqlite-database.ts'
import { SqliteSession } from '../db/sqlite/sqlite-session.ts'
import { viewNames } from '../db/view-names.ts'
import { rebuildViews } from '../events/replay.ts'
import { readHead } from '../events/statements.ts'
import { type Runtime, systemRuntime } from '../runtime.ts'
import { mendLog } from './mend-log.ts'
import { restorePackages } from './restore-packages.ts'
import { lastSequenceOf, unguarded } from './statements.ts'

export interface SalvageStoreOptions {
  /** The damaged database of a store on SQLite, or where there was one. It is only read. */
  readonly from: string
  /** Where the sound one is to be; what is there from an earlier attempt is replaced. */
  readonly to: string
  readonly runtime?: Runtime
}

export interface SalvagedStore {
  /** Of what is no view. */
  readonly tables: readonly SalvagedTable[]
  /** Events that are what they were; numbers whose events are lost; events that say again what manifests say. */
  readonly events: { readonly kept: number; readonly lost: number; readonly restored: number }
  /** All of the log was read. Else there may be bytes that only lost events refer to. */
  readonly isWhole: boolean
}

/** What follows from the log, from the migrations or from the configuration, and is not read from what is damaged. */
const made = [...viewNames, 'event_log_head', 'retention_classes', 'metadata_schemas', 'scrub_cursor']
/** A head of the log that is further ahead of its last event than this is damaged itself. */
const lostMax = 1_000_000

/**
 * Makes a sound database of what can be read of a damaged one: the log, with what is lost of it said in it, and the
 * views computed from that. A whole log gives the views that were, byte for byte.
 *
 * @throws MeshError as `salvageDatabase`
 */
export async function salvageStore(o: SalvageStoreOptions): Promise<SalvagedStore> {
  const { from, to } = o
  const runtime = o.runtime ?? systemRuntime()
  const { now } = runtime
  const isThere = existsSync(from)
  const tables = isThere
    ? salvageDatabase({ from, to, migrations: sqliteMigrations, now, without: made })
    : beginAnew(to)
  const database = SqliteDatabase.open({ path: to, now })
  try {
    const said = await readHeadOf(from)
    const events = await database.write((tx) =>
      unguarded(tx, async () => {
        const last = await lastSequenceOf(tx)
        const lastSequence = said > last && said - last <= lostMax ? said : last
        const { kept, lost, rootless } = await mendLog(tx, lastSequence)
        const restored = lost === 0 ? 0 : await restorePackages(tx, { rootless, runtime })
        return { kept, lost, restored }
      }),
    )
    // It checks all of the log once more, and the views with it.
    await rebuildViews(database)
    const log = tables.find(({ table }) => table === 'events')
    const isWhole = log !== undefined && log.gaps + log.refused + events.lost === 0
    return { tables, events, isWhole }
  } finally {
    await database.close()
  }
}

/** How far the log went, as the damaged database says; 0 when it cannot say. */
async function readHeadOf(path: string): Promise<number> {
  if (!existsSync(path)) return 0
  try {
    const handle = openForReading(path)
    try {
      return (await readHead(new SqliteSession(handle))).lastSequence
    } finally {
      handle.close()
    }
  } catch {
    // It is damaged: what can be read of the log itself says how far it goes.
    return 0
  }
}

/** A database that is gone has nothing to be read. */
function beginAnew(path: string): readonly SalvagedTable[] {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
  return []
}
