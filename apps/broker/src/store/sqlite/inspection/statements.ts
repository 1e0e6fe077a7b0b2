import type { Database } from '@claudemesh/storage'
import { writeChecks } from '../../inspection/statements.ts'
import type { Finding } from '../../inspection.ts'

export type InspectionStatements = ReturnType<typeof prepareInspection>

/** The statements are prepared when they are first used: an older schema may not know all of their tables. */
export function prepareInspection(db: Database) {
  const prepared = new Map<string, ReturnType<typeof prepare>>()
  const prepare = (text: string) => db.prepare<(string | number)[], Finding['row']>(text)
  return {
    checks: writeChecks('main', () => '?'),
    query(text: string, values: readonly (string | number)[]): readonly Finding['row'][] {
      const statement = prepared.get(text) ?? prepare(text)
      prepared.set(text, statement)
      return statement.all(...values)
    },
  }
}
