import { type Database, listDamage, listMigrations, openForReading, read, schemaVersion } from '@claudemesh/storage'
import { type BlobRows, blobRows } from '../../inspection/blob-files/statements.ts'
import { inspectPage } from '../../inspection/inspect-page.ts'
import type { ExaminedDatabase, InspectionPosition } from '../../inspection.ts'
import { type InspectionStatements, prepareInspection } from './statements.ts'

/** The file of an embedded broker, which may be running on it. */
export class ExaminedFile implements ExaminedDatabase {
  readonly #db: Database
  readonly #statements: InspectionStatements

  private constructor(db: Database) {
    this.#db = db
    this.#statements = prepareInspection(db)
  }

  /** @throws MeshError as `openForReading` does */
  static open(path: string): ExaminedFile {
    return new ExaminedFile(openForReading(path))
  }

  async readSchema() {
    return {
      found: read(this.#db, () => schemaVersion(this.#db)),
      known: listMigrations(new URL('../schema/', import.meta.url)).length,
    }
  }

  async listDamage(): Promise<readonly string[]> {
    return listDamage(this.#db)
  }

  /** Whoever writes to the file sets what makes its commits durable, each time it is opened. */
  async listRisks(): Promise<readonly []> {
    return []
  }

  get blobs(): BlobRows {
    const query = async (text: string, values: readonly (string | number)[]) =>
      read(this.#db, () => this.#statements.query(text, values))
    return blobRows({ schema: 'main', placeholder: () => '?', query })
  }

  inspect(position: InspectionPosition | null, rowsMax: number) {
    return inspectFile(this.#db, this.#statements, { position, rowsMax })
  }

  async close(): Promise<void> {
    this.#db.close()
  }
}

/** A step of a pass on an open file. */
export function inspectFile(
  db: Database,
  statements: InspectionStatements,
  { position, rowsMax }: { readonly position: InspectionPosition | null; readonly rowsMax: number },
) {
  const query = async (text: string, values: readonly (string | number)[]) =>
    read(db, () => statements.query(text, values))
  return inspectPage({ checks: statements.checks, query }, position, rowsMax)
}
