import assert from 'node:assert/strict'
import type { Finding, InspectionPosition, InspectionStep } from '../inspection.ts'
import type { Check } from './statements.ts'

type Row = Finding['row']
type Key = InspectionPosition['after']

/**
 * One step of a pass. The two statements of it need not see the same instant: the first one only says how far the
 * second one looks.
 *
 * @param query runs one statement outside of any transaction
 */
export async function inspectPage(
  options: {
    readonly checks: readonly Check[]
    readonly query: (text: string, values: readonly (string | number)[]) => Promise<readonly Row[]>
  },
  position: InspectionPosition | null,
  rowsMax: number,
): Promise<InspectionStep> {
  const { checks, query } = options
  const at = position?.check ?? 0
  const check = checks[at]
  assert(check !== undefined, 'a position is in one of the checks')
  const after = position?.after ?? check.first
  const keys = await query(check.page, [...after, rowsMax])
  const last = keys.at(-1)
  const until = last === undefined ? null : keyOf(check, last)
  const found = until === null ? [] : await query(check.find, [...after, ...until])
  const { name, table } = check
  return {
    table,
    rows: keys.length,
    findings: found.map((row): Finding => ({ name, table, row })),
    next: until === null || keys.length < rowsMax ? beginningOf(checks, at + 1) : { check: at, after: until },
  }
}

function beginningOf(checks: readonly Check[], at: number): InspectionPosition | null {
  const check = checks[at]
  return check === undefined ? null : { check: at, after: check.first }
}

function keyOf({ key }: Check, row: Row): Key {
  return key.map((column) => {
    const value = row[column]
    assert(value !== undefined, 'a key is read whole')
    return value
  })
}
