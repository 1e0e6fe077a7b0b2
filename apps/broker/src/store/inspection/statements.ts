import { type InconsistencyName, inconsistencies } from './inconsistencies/statements.ts'
import { type Schema, type Table, type TableName, tables } from './tables.ts'

/** One inconsistency in one table. */
export interface Check {
  readonly name: InconsistencyName
  readonly table: TableName
  readonly key: readonly string[]
  /** A key before every other. */
  readonly first: readonly (string | number)[]
  /** The keys of at most so many rows after one. Parameters: a key, the number. */
  readonly page: string
  /** The rows between two keys that are inconsistent. Parameters: the key before them, the key of the last. */
  readonly find: string
}

/**
 * Every check, in the order of a pass.
 *
 * @param placeholder writes the n-th parameter, from 1
 */
export function writeChecks(schema: Schema, placeholder: (n: number) => string): readonly Check[] {
  return inconsistencies.flatMap(({ name, checks }) =>
    checks.map(({ table, where }) => {
      const { key, first, shown }: Table = tables[table]
      const columns = key.map((column) => `t.${column}`).join(', ')
      const values = (from: number) => key.map((_, index) => placeholder(from + index)).join(', ')
      const page = `
        SELECT ${columns} FROM ${schema}.${table} t WHERE (${columns}) > (${values(1)})
         ORDER BY ${columns} LIMIT ${placeholder(key.length + 1)}`
      const find = `
        SELECT ${[...key, ...shown].map((column) => `t.${column}`).join(', ')} FROM ${schema}.${table} t
         WHERE (${columns}) > (${values(1)}) AND (${columns}) <= (${values(key.length + 1)}) AND (${where(schema)})`
      return { name, table, key, first, page, find }
    }),
  )
}
