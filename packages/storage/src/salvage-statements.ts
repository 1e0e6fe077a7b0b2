/** The SQL of a salvage: which tables there are, and how one is read from the damaged file and written to the sound one. */
import type { Database } from './transaction.ts'

/** A table of the schema that is to be filled. */
export interface SalvageTable {
  readonly name: string
  readonly hasRowIds: boolean
  readonly isAutoincrement: boolean
  /** Migrations put rows into it, in whose place those go that are read. */
  readonly isSeeded: boolean
}

/** One table between two databases. Rows are arrays; with row ids the first value is the row id, a bigint. */
export interface TableCopy {
  /** In order, the row of this row id and all after it. SQLite throws where a page is damaged. */
  rowsFrom(rowId: bigint): IterableIterator<readonly unknown[]>
  /** The first of them. */
  firstRowFrom(rowId: bigint): readonly unknown[] | undefined
  /** Of a table without row ids, in the order of its key. */
  rowsUp(): IterableIterator<readonly unknown[]>
  /** Of a table without row ids, in the opposite order. */
  rowsDown(): IterableIterator<readonly unknown[]>
  insert(row: readonly unknown[]): void
}

interface Column {
  readonly name: string
  readonly type: string
  /** Its place in the primary key, from 1; 0 when it has none. */
  readonly pk: number
}

const selectTables = `
  SELECT list.name, list.wr, instr(upper(made.sql), 'AUTOINCREMENT') > 0 AS counted
    FROM pragma_table_list AS list JOIN sqlite_schema AS made ON made.type = 'table' AND made.name = list.name
   WHERE list.schema = 'main' AND list.type = 'table' AND list.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
     AND list.name <> 'schema_migration'
   ORDER BY made.rowid`

const selectColumns = `SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden = 0`

/** The tables of a schema in the order in which they were made, so that what is referred to comes first. */
export function tablesToSalvage(target: Database): readonly SalvageTable[] {
  const rows = target.prepare<[], { name: string; wr: number; counted: number }>(selectTables).all()
  return rows.map(({ name, wr, counted }) => ({
    name,
    hasRowIds: wr === 0,
    isAutoincrement: counted === 1,
    isSeeded: target.prepare(`SELECT 1 FROM ${quoted(name)} LIMIT 1`).get() !== undefined,
  }))
}

/** Null when the source has no such table. Columns that only one of the two schemas knows are left to their defaults. */
export function prepareCopy(o: { source: Database; target: Database; table: SalvageTable }): TableCopy | null {
  const { source, target, table } = o
  const theirs = new Set(columnsOf(source, table.name).map(({ name }) => name))
  if (theirs.size === 0) return null
  const ours = columnsOf(target, table.name).filter(({ name }) => theirs.has(name))
  const key = ours.filter(({ pk }) => pk > 0).sort((one, other) => one.pk - other.pk)
  const rowIdName = key.length === 1 && key[0]?.type === 'INTEGER' ? key[0].name : '_rowid_'
  const values = ours.map(({ name }) => name).filter((name) => !table.hasRowIds || name !== rowIdName)
  const names = (table.hasRowIds ? [rowIdName, ...values] : values).map(quoted)
  const from = `SELECT ${names.join(', ')} FROM ${quoted(table.name)}`
  // The table itself is read: an index that is damaged too, or lags behind, must not decide what there is.
  const onwards = table.hasRowIds
    ? `${from} NOT INDEXED WHERE ${quoted(rowIdName)} >= ? ORDER BY ${quoted(rowIdName)}`
    : from
  const by = (direction: 'ASC' | 'DESC') =>
    source.prepare(`${from} ORDER BY ${key.map(({ name }) => `${quoted(name)} ${direction}`).join(', ')}`).raw()
  const insertion = target.prepare(
    `INSERT ${table.isSeeded ? 'OR REPLACE ' : ''}INTO ${quoted(table.name)} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
  )
  return {
    rowsFrom: (rowId) => source.prepare(onwards).raw().iterate(rowId) as IterableIterator<readonly unknown[]>,
    firstRowFrom: (rowId) => source.prepare(`${onwards} LIMIT 1`).raw().get(rowId) as readonly unknown[] | undefined,
    rowsUp: () => by('ASC').iterate() as IterableIterator<readonly unknown[]>,
    rowsDown: () => by('DESC').iterate() as IterableIterator<readonly unknown[]>,
    insert: (row) => void insertion.run(...row),
  }
}

/** The last number that a table's `AUTOINCREMENT` gave out; 0 before the first. */
export function readSequence(db: Database, table: string): bigint {
  const found = db.prepare(`SELECT seq FROM sqlite_sequence WHERE name = ?`).pluck().get(table)
  return BigInt((found as bigint | number | undefined) ?? 0)
}

/** Lets a table's `AUTOINCREMENT` go on after `given`, or, when that is null, `gap` after the highest number in the table. */
export function reserveSequence(
  target: Database,
  o: { readonly table: string; readonly given: bigint | null; readonly gap: number },
): void {
  const { table, given, gap } = o
  const present = readSequence(target, table)
  const next = given === null ? present + BigInt(gap) : given
  if (next <= present) return
  const changed = target.prepare(`UPDATE sqlite_sequence SET seq = ? WHERE name = ?`).run(next, table).changes
  if (changed === 0) target.prepare(`INSERT INTO sqlite_sequence (seq, name) VALUES (?, ?)`).run(next, table)
}

function columnsOf(db: Database, table: string): readonly Column[] {
  const rows = db.prepare<[string], { name: string; type: string; pk: number | bigint }>(selectColumns).all(table)
  return rows.map(({ name, type, pk }) => ({ name, type, pk: Number(pk) }))
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
