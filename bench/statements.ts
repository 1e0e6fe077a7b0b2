/** The SQL of the bare limits: rows copied as they are, with nothing around them. */
import BetterSqlite3 from 'better-sqlite3'

/** Column name to value, in the order of the table. */
export type Row = Readonly<Record<string, string | number | bigint | Buffer | null>>

type Database = BetterSqlite3.Database

/** A row of a table in a database that somebody else is writing. */
export function readRow(path: string, table: string): Row {
  const db = new BetterSqlite3(path, { readonly: true })
  try {
    const row = db.prepare<[], Row>(`SELECT * FROM ${table} LIMIT 1`).get()
    if (row === undefined) throw new Error(`${table} has no row`)
    return row
  } finally {
    db.close()
  }
}

/** Inserts rows that have the columns of `like`. */
export function prepareInsert(db: Database, table: string, like: Row): (row: Row) => void {
  const columns = Object.keys(like)
  const insert = db.prepare(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((column) => `@${column}`).join(', ')})`,
  )
  return (row) => void insert.run(row)
}

/** Of the library that better-sqlite3 brings. */
export function sqliteVersion(): string {
  const db = new BetterSqlite3(':memory:')
  try {
    return db.prepare<[], string>('SELECT sqlite_version()').pluck().get() ?? 'unknown'
  } finally {
    db.close()
  }
}

/** Databases of a PostgreSQL server. */
export const copyDatabase = {
  make: (name: string, like: string | null) => `CREATE DATABASE ${name} TEMPLATE ${like ?? 'template1'}`,
  drop: (name: string) => `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`,
}

/** Rows that are numbered by a sequence, about as large as an event. */
export const numberedRows = {
  make: 'CREATE TABLE numbered (id BIGSERIAL PRIMARY KEY, body BYTEA NOT NULL)',
  insert: "INSERT INTO numbered (body) VALUES (decode(repeat('00', 300), 'hex'))",
}

/** One row of each table of the broker on PostgreSQL, apart, and which columns it has. */
export const likeRows = {
  keep: (table: string) => `CREATE TABLE public.like_${table} AS SELECT * FROM mesh.${table} LIMIT 1`,
  columns: `SELECT column_name AS name FROM information_schema.columns
             WHERE table_schema = 'mesh' AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position`,
}

/** What pgbench runs: `:size` messages in a transaction, each with a row in every table, numbered like the broker's. */
export function insertScript(columnsOf: ReadonlyMap<string, readonly string[]>): string {
  const number = ':base::bigint + n'
  const id = `'01' || lpad((${number})::text, 24, '0')`
  const differing: Readonly<Record<string, string>> = {
    id,
    client_message_id: id,
    broker_message_id: id,
    history_id: number,
    delivery_id: number,
  }
  const inserts = [...columnsOf].map(([table, columns]) => {
    const values = columns.map((column) => differing[column] ?? `l.${column}`)
    return `INSERT INTO mesh.${table} (${columns.join(', ')}) SELECT ${values.join(', ')} FROM public.like_${table} l CROSS JOIN generate_series(1, :size::integer) n;`
  })
  const count = `UPDATE mesh.mesh_counter SET last_history_id = last_history_id + :size::bigint, last_delivery_id = last_delivery_id + :size::bigint RETURNING last_history_id - :size::bigint AS base`
  return `${['BEGIN;', `${count} \\gset`, ...inserts, 'COMMIT;'].join('\n')}\n`
}

/** Every mesh of a broker goes on behind these numbers. Nobody else writes to the database meanwhile. */
export function advanceCounters(path: string, last: number): void {
  const db = new BetterSqlite3(path, { fileMustExist: true })
  try {
    db.prepare(
      `UPDATE mesh_counter SET last_history_id = max(last_history_id, @last), last_delivery_id = max(last_delivery_id, @last)`,
    ).run({ last })
  } finally {
    db.close()
  }
}
