/**
 * A partition whose files are damaged, made usable again (03 §5).
 *
 * 1. The damaged files are only read. What can be read of them goes into a directory beside, which whoever calls puts in the
 *    place of the other; it is whole and on the disk when this returns.
 * 2. A row that does not say what was recorded is left behind: nobody exports what nobody wrote.
 * 3. Rows keep their seqs, so that a sink does not get what it has. What no sink got of the rows left behind counts as lost.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import {
  closeDatabase,
  type Database,
  ensurePrivateDirectory,
  immediate,
  listDamage,
  listMigrations,
  openDatabase,
  openForReading,
  type SalvagedTable,
  salvageDatabase,
  schemaVersion,
  syncDirectory,
} from '@claudemesh/storage'
import { currentGeneration, listGenerations, pointTo } from './directory.ts'
import { migrations } from './generation.ts'
import { formatPartition, type Partition, parsePartition } from './partition.ts'
import { rowDigest } from './row.ts'
import { prepareCopy, prepareStatements, type RowRecord } from './statements.ts'

const damageCodes: ReadonlySet<string> = new Set(['database_corrupt', 'history_damaged'])
/** Rows whose fault is told; of the others there is a number. */
const rowFaultsMax = 20
/** Of a partition without a file. */
const nothingRead: SalvagedTable = { table: 'history_row', rows: 0, refused: 0, gaps: 1 }

/** Every partition of which there is a directory, or one that stands beside it under a name with a dot. Nothing is changed. */
export function listRecoverable(directory: string): readonly Partition[] {
  if (!existsSync(directory)) return []
  const names = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(join(directory, name)).map((source) => `${name}/${source.split('.')[0]}`))
  return [...new Set(names)].flatMap((name) => parsePartition(name) ?? [])
}

/**
 * Reads all of a partition, and compares each row with its digest.
 *
 * @returns what is wrong with it; nothing for one that is sound, or of a newer schema @throws MeshError `storage_failed`
 */
export function examinePartition(directory: string, partition: Partition): readonly string[] {
  try {
    const db = openForReading(currentGeneration(directory))
    try {
      const faults = listDamage(db)
      if (faults.length > 0 || schemaVersion(db) > listMigrations(migrations).length) return faults
      const keys = findAltered(db, partition)
      const told = keys.slice(0, rowFaultsMax).map((key) => `row ${key} does not say what was recorded`)
      return keys.length > told.length ? [...told, `and ${keys.length - told.length} more`] : told
    } finally {
      db.close()
    }
  } catch (error) {
    if (error instanceof MeshError && damageCodes.has(error.code)) return [error.message]
    throw error
  }
}

/**
 * Reads what can be read.
 *
 * @param o.to a directory that is made, in the place of what an earlier attempt has left there; its name is that of no partition
 * @returns what became of each table @throws MeshError `insufficient_storage`, `storage_failed`, `schema_too_new`
 */
export function salvagePartition(o: {
  readonly directory: string
  readonly to: string
  readonly partition: Partition
  readonly now: () => number
}): readonly SalvagedTable[] {
  const { to } = o
  rmSync(to, { recursive: true, force: true })
  ensurePrivateDirectory(dirname(to))
  mkdirSync(to, { mode: 0o700 })
  const from = bestGeneration(o.directory)
  const path = join(to, from === null ? 'gen-1.db' : basename(from))
  const tables = from === null ? [nothingRead] : salvageDatabase({ from, to: path, migrations, now: o.now })
  const db = openDatabase({ path, migrations, now: o.now })
  const altered = complete(db, o.partition)
  closeDatabase(db)
  pointTo(path)
  syncDirectory(dirname(to))
  return tables.map((table) =>
    table.table === 'history_row' ? { ...table, rows: table.rows - altered, refused: table.refused + altered } : table,
  )
}

/** The one in force. Where that cannot be told, the one with the newest row: a copy under way says of itself that it has none. */
function bestGeneration(directory: string): string | null {
  try {
    return currentGeneration(directory)
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'history_damaged') throw error
  }
  const ranked = listGenerations(directory).map((path) => ({ path, newest: newestSeqOf(path) }))
  return ranked.toSorted((one, other) => other.newest - one.newest).at(0)?.path ?? null
}

/** Below 0 when it cannot be read. */
function newestSeqOf(path: string): number {
  try {
    const db = openForReading(path)
    try {
      return prepareStatements(db).state().newestSeq
    } finally {
      db.close()
    }
  } catch {
    // Whatever it is: another one is better.
    return -1
  }
}

/** @returns how many rows were left behind */
function complete(db: Database, partition: Partition): number {
  const sql = prepareStatements(db)
  const altered = findAltered(db, partition)
  const state = sql.state()
  const sinks = sql.sinks().map(({ acknowledgedSeq }) => acknowledgedSeq)
  const acknowledged = sinks.length === 0 ? Number.MAX_SAFE_INTEGER : Math.min(...sinks)
  immediate(db, () => {
    const newestSeq = Math.max(state.newestSeq, sql.newestKey() ?? 0)
    for (const key of altered) {
      sql.remove(key)
      if (key > acknowledged) sql.addLost(key)
    }
    sql.saveState({ ...state, newestSeq })
  })
  return altered.length
}

function findAltered(db: Database, partition: Partition): number[] {
  const name = formatPartition(partition)
  const keys: number[] = []
  for (const row of prepareCopy(db).iterate(Number.MIN_SAFE_INTEGER) as Iterable<RowRecord>) {
    if (!rowDigest(name, row).equals(row.row_id)) keys.push(row.key)
  }
  return keys
}
