import { writeChecks } from '../../inspection/statements.ts'
import type { Finding } from '../../inspection.ts'
import { prepare, type Session } from '../session.ts'

export const checks = writeChecks('mesh', (n) => `$${n}`)

/** Runs a statement of the checks. */
export function queryRows(
  session: Session,
  text: string,
  values: readonly (string | number)[],
): Promise<readonly Finding['row'][]> {
  return session.query<Finding['row']>(prepare(text), values)
}
