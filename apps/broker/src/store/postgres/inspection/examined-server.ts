import { listMigrations } from '@claudemesh/storage'
import type { ExaminedDatabase, InspectionPosition } from '../../inspection.ts'
import { Pool } from '../pool.ts'
import { inspect } from './inspect.ts'
import { readSchemaVersion } from './statements.ts'

/** The database of a team's brokers, which may be running on it. */
export class ExaminedServer implements ExaminedDatabase {
  readonly #pool: Pool

  constructor(url: string) {
    this.#pool = new Pool(url)
  }

  async readSchema() {
    const found = await this.#pool.read(readSchemaVersion)
    return { found, known: listMigrations(new URL('../schema/', import.meta.url)).length }
  }

  /** PostgreSQL checks its pages itself, and what a file system did to them is nothing that a query finds. */
  async listDamage(): Promise<null> {
    return null
  }

  inspect(position: InspectionPosition | null, rowsMax: number) {
    return this.#pool.read((session) => inspect(session, { position, rowsMax }))
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}
