/**
 * What must be true of a store's rows at every moment, looked at page by page: a part of what a store promises. What is
 * checked, what it means and what to do about it is one table, inspection/inconsistencies/statements.ts.
 *
 * 1. It reads only, also where another process has the database open for writing.
 * 2. A step looks at a bounded number of rows of one table, so that accepting never waits for more than that.
 * 3. A row is judged by one statement, and so by what was committed at one instant. What changes between two steps, or
 *    between the two statements of one, is never taken for an inconsistency.
 * 4. A pass visits every row that is there from its beginning to its end.
 */
import type { BlobRows } from './inspection/blob-files/statements.ts'
import type { InconsistencyName } from './inspection/inconsistencies/statements.ts'
import type { TableName } from './inspection/tables.ts'

/** Where a pass is: in its n-th check, after the row with that key. */
export interface InspectionPosition {
  readonly check: number
  /** Values of the key of the last row that was looked at. */
  readonly after: readonly (string | number)[]
}

export interface InspectionStep {
  readonly table: TableName
  /** How many rows were looked at. */
  readonly rows: number
  readonly findings: readonly Finding[]
  /** Null: that was the last step of the pass. */
  readonly next: InspectionPosition | null
}

/** A row that contradicts others, or itself. */
export interface Finding {
  readonly name: InconsistencyName
  readonly table: TableName
  /** The row: its key, and what else leads to it; columns as the database names them. */
  readonly row: Readonly<Record<string, string | number>>
}

export interface Inspection {
  /**
   * Looks at the next rows.
   *
   * @param position null: the beginning of a pass; else `next` of an earlier step
   */
  inspect(position: InspectionPosition | null, rowsMax: number): Promise<InspectionStep>
}

/** A database that is opened to be looked at and nothing else. */
export interface ExaminedDatabase extends Inspection {
  /** The version of its schema, and the one that this program's checks are written for. */
  readSchema(): Promise<{ readonly found: number; readonly known: number }>
  /** What is wrong with the file itself, in the engine's words; null where the engine cannot tell. */
  listDamage(): Promise<readonly string[] | null>
  /** What it says of the files of relayed blobs. */
  readonly blobs: BlobRows
  /** Why what this database has committed may not survive a power cut; nothing for one that does what it says. */
  listRisks(): Promise<readonly Risk[]>
  close(): Promise<void>
}

/** A setting of a database with which the broker's promise does not hold, whatever the broker does. */
export interface Risk {
  readonly setting: string
  readonly value: string
  readonly meaning: string
  readonly remedy: string
}
