import { listMigrations } from '@claudemesh/storage'
import { type Pool, readSchemaVersion } from '@claudemesh/storage/postgres'
import { type BlobRows, blobRows } from '../../inspection/blob-files/statements.ts'
import type { ExaminedDatabase, InspectionPosition } from '../../inspection.ts'
import { openPool } from '../open-pool.ts'
import { schema } from '../statements.ts'
import { inspect } from './inspect.ts'
import { listRisks } from './risks.ts'
import { queryRows } from './statements.ts'

/** The database of a team's brokers, which may be running on it. */
export class ExaminedServer implements ExaminedDatabase {
  readonly #pool: Pool

  constructor(url: string) {
    this.#pool = openPool(url)
  }

  async readSchema() {
    const found = await this.#pool.read((session) => readSchemaVersion(session, schema))
    return { found, known: listMigrations(new URL('../schema/', import.meta.url)).length }
  }

  /** PostgreSQL checks its pages itself, and what a file system did to them is nothing that a query finds. */
  async listDamage(): Promise<null> {
    return null
  }

  listRisks() {
    return this.#pool.read(listRisks)
  }

  get blobs(): BlobRows {
    const query = (text: string, values: readonly (string | number)[]) =>
      this.#pool.read((session) => queryRows(session, text, values))
    return blobRows({ schema: 'mesh', placeholder: (n) => `$${n}`, query })
  }

  inspect(position: InspectionPosition | null, rowsMax: number) {
    return this.#pool.read((session) => inspect(session, { position, rowsMax }))
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}
