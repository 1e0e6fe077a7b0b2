/**
 * What SQLite says it does for each statement of a database, so that a test can hold indexes and statements together:
 * no statement without its index, no index without its statement.
 */
import type { Database } from '../../packages/storage/src/index.ts'

export interface QueryPlan {
  /** On one line. */
  readonly sql: string
  /** As SQLite words them, those of triggers and of foreign keys among them. */
  readonly steps: readonly string[]
}

/** How one index is justified. */
export interface IndexUse {
  readonly index: string
  readonly table: string
  /** It keeps a promise of the schema, whoever reads by it. */
  readonly isUnique: boolean
  /** The statements whose plan names it. */
  readonly statements: readonly string[]
}

/** Every text that is prepared on the database while `prepare` runs, in order and each once. */
export function recordStatements(db: Database, prepare: (db: Database) => void): readonly string[] {
  const texts = new Set<string>()
  const recording = new Proxy(db, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key)
      if (typeof value !== 'function') return value
      const method = value.bind(target) as (...args: unknown[]) => unknown
      if (key !== 'prepare') return method
      return (sql: string) => {
        texts.add(sql)
        return method(sql)
      }
    },
  })
  prepare(recording)
  return [...texts]
}

/** The plans of statements on a database that has their schema. */
export function explain(db: Database, statements: readonly string[]): readonly QueryPlan[] {
  return statements.map((sql) => {
    const rows = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...anyParameters(sql)) as { detail: string }[]
    return { sql: sql.replaceAll(/\s+/g, ' ').trim(), steps: rows.map(({ detail }) => detail) }
  })
}

/**
 * Steps that look at more than is asked for: a table or an index from end to end, or a sort of all that is found. A scan
 * that ends at a LIMIT is none of them: it goes along an order and stops. (That every row it meets is one that is wanted,
 * no plan can tell.)
 */
export function costlySteps({ sql, steps }: QueryPlan): readonly string[] {
  const stops = /\bLIMIT (\+[?:@])?\w*$/.test(sql)
  return steps.filter((step) => /\bUSE TEMP B-TREE\b|\bAUTOMATIC\b/.test(step) || (!stops && isScanOfTable(step)))
}

/** What another statement of the same query found, a JSON array, the counters (a row a table) and tables of one row are none. */
function isScanOfTable(step: string): boolean {
  return /^SCAN (?!CONSTANT ROW|outbox_state|\(?subquery|json_each|sqlite_sequence|[\w-]+ VIRTUAL TABLE)/i.test(step)
}

/** All indexes that the schema declares, and which statements use each. */
export function indexUses(db: Database, plans: readonly QueryPlan[]): readonly IndexUse[] {
  const declared = db
    .prepare(`SELECT name, tbl_name AS tableName FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL`)
    .all() as { name: string; tableName: string }[]
  return declared.map(({ name, tableName }) => {
    const list = db.pragma(`index_list(${tableName})`) as { name: string; unique: number }[]
    const named = new RegExp(`INDEX ${name}\\b`)
    return {
      index: name,
      table: tableName,
      isUnique: list.some((entry) => entry.name === name && entry.unique === 1),
      statements: plans.filter(({ steps }) => steps.some((step) => named.test(step))).map(({ sql }) => sql),
    }
  })
}

/** One line per index: what it is for. */
export function indexTable(title: string, uses: readonly IndexUse[]): string {
  const lines = uses.map(({ index, isUnique, statements }) => {
    const first = statements[0]?.slice(0, 90) ?? 'no statement'
    return `  ${index.padEnd(34)}${isUnique ? 'unique' : '      '} ${String(statements.length).padStart(3)}  ${first}`
  })
  return [`${title}: ${uses.length} indexes, statements that use each, and the first of them`, ...lines].join('\n')
}

/** Any value will do: the plan is made before values are known. */
function anyParameters(sql: string): readonly unknown[] {
  const withoutText = sql.replaceAll(/'[^']*'/g, "''")
  const named = [...withoutText.matchAll(/[@:$]([A-Za-z_]\w*)/g)].map(([, name]) => [name, null])
  const positional = Array.from({ length: withoutText.split('?').length - 1 }, () => null)
  return named.length > 0 ? [...positional, Object.fromEntries(named)] : positional
}
