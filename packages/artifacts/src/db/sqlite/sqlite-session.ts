import { type Database, read, type Statement } from '@claudemesh/storage'
import type { Session, SqlValue } from '../spi.ts'
import { prepare } from './statements.ts'

interface Prepared {
  readonly statement: Statement
  /** Which value each place takes, counted from 0. */
  readonly places: readonly number[]
}

/** Statements on one SQLite handle, prepared once each. */
export class SqliteSession implements Session {
  readonly #db: Database
  readonly #prepared = new Map<string, Prepared>()

  constructor(db: Database) {
    this.#db = db
  }

  async query<Row>(text: string, values: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return read(this.#db, () => {
      const { statement, places } = this.#prepare(text)
      return statement.all(...bind(values, places)) as readonly Row[]
    })
  }

  async execute(text: string, values: readonly SqlValue[] = []): Promise<number> {
    return read(this.#db, () => {
      const { statement, places } = this.#prepare(text)
      return statement.run(...bind(values, places)).changes
    })
  }

  /** `$1` is bound by its place here: by its name takes longer than all else that a small statement does. */
  #prepare(text: string): Prepared {
    let prepared = this.#prepared.get(text)
    if (prepared === undefined) {
      const places: number[] = []
      const byPlace = text.replace(/\$(\d+)/g, (_, number) => {
        places.push(Number(number) - 1)
        return '?'
      })
      prepared = { statement: prepare(this.#db, byPlace), places }
      this.#prepared.set(text, prepared)
    }
    return prepared
  }
}

/** Booleans are 0 and 1 here. */
function bind(values: readonly SqlValue[], places: readonly number[]): readonly unknown[] {
  return places.map((place) => {
    const value = values[place]
    return typeof value === 'boolean' ? Number(value) : value
  })
}
