/**
 * What the modules of the PostgreSQL engine ask questions through. They take a session and never a pool: whoever opened
 * the transaction decides when it ends, and may run it again from its start.
 *
 * PostgreSQL folds names that are not quoted: a column reaches the code in camelCase by `AS "historyId"`. BIGINT comes
 * as a number, BYTEA as a Buffer. A list goes in as one array parameter: `unnest($1::text[], $2::bigint[])`.
 *
 * A table that has grown since it was last analysed looks small to the planner, which then joins it the wrong way round and
 * reads a member's whole queue for every row. Rows are therefore looked up one by one in a `LATERAL (… OFFSET 0)`, which is
 * never turned into a join, or by `= ANY (array)` within the `BETWEEN` of its ends, which every index scan uses.
 */
import { createHash } from 'node:crypto'
import pg from 'pg'

/** A prepared statement; each connection prepares it when it first uses it. */
export interface Statement {
  /** Unique in the process. */
  readonly name: string
  readonly text: string
}

/** One connection, in or out of a transaction. What it throws is PostgreSQL's own error: the pool translates it. */
export interface Session {
  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<readonly Row[]>
  /** @returns how many rows were changed */
  execute(statement: Statement, values?: readonly unknown[]): Promise<number>
}

/** Names a statement by what it says, so that no two of different text ever share a name. */
export function prepare(text: string): Statement {
  return { name: createHash('sha256').update(text).digest('hex').slice(0, 40), text }
}

/** The session of a connection that is checked out of its pool. */
export function sessionOf(client: pg.ClientBase): Session {
  const run = (statement: Statement, values: readonly unknown[]) =>
    client.query({ name: statement.name, text: statement.text, values: [...values] })
  return {
    query: async (statement, values = []) => (await run(statement, values)).rows,
    execute: async (statement, values = []) => (await run(statement, values)).rowCount ?? 0,
  }
}

const int8 = 20

/** How values come back on our connections; those of other users of the library are left alone. */
export const typeParsers: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) => (oid === int8 ? parseInt8 : pg.types.getTypeParser(oid, format)),
}

function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is no number that can be counted with`)
  return value
}
