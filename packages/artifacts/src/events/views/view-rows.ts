/**
 * The views as events write them: rows that are added, and what is counted in packages, are held back until something else
 * is asked of the tables, or until `flush`; so that many events that follow each other cost a few statements.
 */
import type { Session, SqlValue } from '../../db/spi.ts'
import { type ViewName, viewNames } from '../../db/view-names.ts'
import { changePackage, insertRows, type NewRow, type PackageChange } from './statements.ts'

export class ViewRows implements Session {
  readonly #session: Session
  /** By table and columns. */
  readonly #added = new Map<string, { readonly table: ViewName; readonly rows: NewRow[] }>()
  readonly #changes = new Map<string, PackageChange>()

  constructor(session: Session) {
    this.#session = session
  }

  insert(table: ViewName, row: NewRow): void {
    const key = `${table} ${Object.keys(row).join()}`
    const added = this.#added.get(key)
    if (added === undefined) this.#added.set(key, { table, rows: [row] })
    else added.rows.push(row)
  }

  change(packageId: string, { files, bytes, sequence }: PackageChange): void {
    const before = this.#changes.get(packageId) ?? { files: 0, bytes: 0 }
    this.#changes.set(packageId, { files: before.files + files, bytes: before.bytes + bytes, sequence })
  }

  async query<Row>(text: string, values?: readonly SqlValue[]): Promise<readonly Row[]> {
    await this.flush()
    return this.#session.query<Row>(text, values)
  }

  async execute(text: string, values?: readonly SqlValue[]): Promise<number> {
    await this.flush()
    return this.#session.execute(text, values)
  }

  /** Writes what is held back. */
  async flush(): Promise<void> {
    // A row comes after the one that it refers to.
    const added = [...this.#added.values()].sort((a, b) => viewNames.indexOf(a.table) - viewNames.indexOf(b.table))
    this.#added.clear()
    for (const { table, rows } of added) await insertRows(this.#session, table, rows)
    const changes = [...this.#changes]
    this.#changes.clear()
    for (const [packageId, change] of changes) await changePackage(this.#session, packageId, change)
  }
}
