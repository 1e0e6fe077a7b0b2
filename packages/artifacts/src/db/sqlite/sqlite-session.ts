import { type Database, read, type Statement } from '@claudemesh/storage'
import type { Session, SqlValue } from '../spi.ts'
import { prepare } from './statements.ts'

/** Statements on one SQLite handle, prepared once each. */
export class SqliteSession implements Session {
  readonly #db: Database
  readonly #prepared = new Map<string, Statement>()

  constructor(db: Database) {
    this.#db = db
  }

  async query<Row>(text: string, values: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return read(this.#db, () => this.#prepare(text).all(...bind(values)) as readonly Row[])
  }

  async execute(text: string, values: readonly SqlValue[] = []): Promise<number> {
    return read(this.#db, () => this.#prepare(text).run(...bind(values)).changes)
  }

  #prepare(text: string): Statement {
    let statement = this.#prepared.get(text)
    if (statement === undefined) {
      statement = prepare(this.#db, text)
      this.#prepared.set(text, statement)
    }
    return statement
  }
}

/** `$1` is the parameter named 1. Booleans are 0 and 1 here. */
function bind(values: readonly SqlValue[]): readonly unknown[] {
  if (values.length === 0) return []
  const byName: Record<string, unknown> = {}
  for (const [index, value] of values.entries()) {
    byName[index + 1] = typeof value === 'boolean' ? Number(value) : value
  }
  return [byName]
}
