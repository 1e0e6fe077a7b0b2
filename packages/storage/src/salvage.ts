/**
 * What can still be read of a damaged database, as a sound one of the same schema.
 *
 * 1. The damaged file and its companions are only read.
 * 2. A row is copied as it is, under its row id, or it is counted as refused. Nothing is made up for what cannot be read.
 * 3. What is copied keeps the constraints of the schema: a row that breaks one, or refers to a row that is lost, is refused.
 * 4. What a migration puts into a table stays only as far as nothing was read that takes its place.
 * 5. A number that `AUTOINCREMENT` has given out is not given out again.
 * 6. The new file is there, whole and on the disk, when this returns. Killed before, it leaves a file that the next call
 *    begins anew.
 */
import { closeSync, copyFileSync, existsSync, openSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import { closeDatabase, openDatabase } from './database.ts'
import { listDamage, openForReading } from './examine.ts'
import {
  prepareCopy,
  readSequence,
  reserveSequence,
  type SalvageTable,
  type TableCopy,
  tablesToSalvage,
} from './salvage-statements.ts'
import { saysCorrupt, toStorageError } from './storage-error.ts'
import { type Database, immediate } from './transaction.ts'

export interface SalvageRequest {
  /** The damaged database. */
  readonly from: string
  /** Where the sound one is to be; what is there from an earlier attempt is replaced. */
  readonly to: string
  /** Directory of NNN-name.sql, with a slash at its end. */
  readonly migrations: URL
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Tables that are to begin empty. */
  readonly without?: readonly string[]
}

/** What became of one table. */
export interface SalvagedTable {
  readonly table: string
  /** Rows that are in the new database. */
  readonly rows: number
  /** Rows that were read and break a constraint, because of damage in them or in what they refer to. */
  readonly refused: number
  /** Places from which nothing could be read; each hides an unknown number of rows. */
  readonly gaps: number
}

interface Tally {
  rows: number
  refused: number
  gaps: number
}

/** What `AUTOINCREMENT` skips when it is not known how far it was. */
const unknownSequenceGap = 1_000_000
/** SQLite file format, 1.3: the head of a file, and where it says the size of a page, how many there are, and which are free. */
const headBytes = 100
const pageSizeAt = 16
const pageCountAt = 28
const freePagesAt = 32
/** Row ids beyond this are not looked for; they begin at 1. */
const rowIdMax = 2n ** 62n

/**
 * Copies what can be read.
 *
 * @returns one entry per table
 * @throws MeshError `insufficient_storage`, `storage_failed`; `schema_too_new` of a newer database
 */
export function salvageDatabase(o: SalvageRequest): readonly SalvagedTable[] {
  const mended = `${o.to}.source`
  for (const file of [o.to, mended]) removeDatabase(file)
  const target = openDatabase({ path: o.to, migrations: o.migrations, now: o.now })
  try {
    const source = openSource(o.from, { mended, sound: target })
    try {
      const salvaged = immediate(target, () => copyTables(source, target, new Set(o.without)))
      const faults = listDamage(target)
      if (faults.length > 0) throw new Error(`what was salvaged is not sound: ${faults.join('; ')}`)
      return salvaged
    } finally {
      source?.close()
      removeDatabase(mended)
    }
  } finally {
    closeDatabase(target)
  }
}

function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
}

/** Null when the file is no database any more, even with the head of a sound one. */
function openSource(path: string, o: { readonly mended: string; readonly sound: Database }): Database | null {
  return openReadable(path) ?? (mendHead(path, o) ? openReadable(o.mended) : null)
}

/** Null when SQLite reads nothing of it. */
function openReadable(path: string): Database | null {
  let db: Database | null = null
  try {
    db = openForReading(path)
    db.defaultSafeIntegers(true)
    // The first look at the file.
    db.pragma('schema_version')
    return db
  } catch (error) {
    db?.close()
    if (saysCorrupt(error) || (error instanceof MeshError && error.code === 'database_corrupt')) return null
    throw error
  }
}

/**
 * Makes a copy with the head of a sound database of the same settings, of as many pages as a damaged head may still say or
 * there are: SQLite reads nothing of a file with a wrong head, nor of one that is shorter than it says.
 *
 * @returns whether there is a copy
 */
function mendHead(path: string, o: { readonly mended: string; readonly sound: Database }): boolean {
  const { size } = statSync(path)
  const head = Buffer.from(o.sound.serialize().subarray(0, headBytes))
  const pageBytes = head.readUInt16BE(pageSizeAt)
  const pages = Math.ceil(size / pageBytes)
  if (pages === 0) return false
  // No page is free, as far as is known.
  head.writeUInt32BE(pages, pageCountAt)
  head.fill(0, freePagesAt, freePagesAt + 8)
  copyFileSync(path, o.mended)
  if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${o.mended}-wal`)
  truncateSync(o.mended, pages * pageBytes)
  const descriptor = openSync(o.mended, 'r+')
  try {
    writeSync(descriptor, head, 0, headBytes, 0)
  } finally {
    closeSync(descriptor)
  }
  return true
}

function copyTables(source: Database | null, target: Database, without: ReadonlySet<string>): SalvagedTable[] {
  const tables = tablesToSalvage(target).filter(({ name }) => !without.has(name))
  return tables.map((table) => {
    const tally: Tally = { rows: 0, refused: 0, gaps: 0 }
    const prepared = source === null ? null : unlessDamaged(() => [prepareCopy({ source, target, table })] as const)
    if (prepared === null) tally.gaps = 1
    else if (prepared[0] !== null) copyTable(prepared[0], { table, tally })
    if (table.isAutoincrement) {
      const given = source === null ? null : unlessDamaged(() => readSequence(source, table.name))
      reserveSequence(target, { table: table.name, given, gap: unknownSequenceGap })
    }
    return { table: table.name, ...tally }
  })
}

function copyTable(copy: TableCopy, o: { readonly table: SalvageTable; readonly tally: Tally }): void {
  if (o.table.hasRowIds) copyByRowId(copy, o.tally)
  else copyFromBothEnds(copy, o.tally)
}

/** Row by row; a place that cannot be read is stepped over to the next row id from which reading goes on. */
function copyByRowId(copy: TableCopy, tally: Tally): void {
  let from = 0n
  for (;;) {
    const last = insertAll(copy, copy.rowsFrom(from), tally)
    if (last.isEnd) return
    tally.gaps += 1
    const next = findReadable(copy, last.rowId === null ? from : last.rowId + 1n)
    if (next === null) return
    from = next
  }
}

/**
 * A row id at or after `from` at which reading goes on, null when there is none: steps that double until one row can be read, then
 * halves of the last step.
 */
function findReadable(copy: TableCopy, from: bigint): bigint | null {
  let unreadable = from
  let readable: bigint | null = null
  for (let step = 1n; readable === null; step *= 2n) {
    const next = unreadable + step
    if (next > rowIdMax) return null
    if (isReadable(copy, next)) readable = next
    else unreadable = next
  }
  while (readable - unreadable > 1n) {
    const middle: bigint = (readable + unreadable) / 2n
    if (isReadable(copy, middle)) readable = middle
    else unreadable = middle
  }
  return readable
}

function isReadable(copy: TableCopy, rowId: bigint): boolean {
  return unlessDamaged(() => [copy.firstRowFrom(rowId)]) !== null
}

/** A table without row ids has no other order than its key: it is read from both ends up to where it cannot be read. */
function copyFromBothEnds(copy: TableCopy, tally: Tally): void {
  if (insertAll(copy, copy.rowsUp(), tally).isEnd) return
  tally.gaps += 1
  insertAll(copy, copy.rowsDown(), tally)
}

/** @returns whether the rows ended, and the last row id that was read */
function insertAll(
  copy: TableCopy,
  rows: IterableIterator<readonly unknown[]>,
  tally: Tally,
): { readonly isEnd: boolean; readonly rowId: bigint | null } {
  let rowId: bigint | null = null
  for (;;) {
    const next = unlessDamaged(() => rows.next())
    if (next === null) return { isEnd: false, rowId }
    if (next.done === true) return { isEnd: true, rowId }
    if (typeof next.value[0] === 'bigint') rowId = next.value[0]
    if (insert(copy, next.value)) tally.rows += 1
    else tally.refused += 1
  }
}

function insert(copy: TableCopy, row: readonly unknown[]): boolean {
  try {
    copy.insert(row)
    return true
  } catch (error) {
    if (error instanceof BetterSqlite3.SqliteError && error.code.startsWith('SQLITE_CONSTRAINT')) return false
    throw error
  }
}

/** What a reading of the damaged file gives; null when it cannot be read. A disk that fails is another matter, and is thrown. */
function unlessDamaged<T>(run: () => T): T | null {
  try {
    return run()
  } catch (error) {
    if (saysCorrupt(error)) return null
    throw toStorageError(error, 'the damaged database')
  }
}
