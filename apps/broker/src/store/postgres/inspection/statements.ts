import { writeChecks } from '../../inspection/statements.ts'
import type { Finding } from '../../inspection.ts'
import { prepare, type Session } from '../session.ts'
import { migration } from '../statements.ts'

export const checks = writeChecks('mesh', (n) => `$${n}`)

/** Runs a statement of the checks. */
export function queryRows(
  session: Session,
  text: string,
  values: readonly (string | number)[],
): Promise<readonly Finding['row'][]> {
  return session.query<Finding['row']>(prepare(text), values)
}

const selectIsRecorded = prepare(migration.isRecorded)
const selectSchemaVersion = prepare(migration.schemaVersion)

/** The number of the last migration, 0 before the first. */
export async function readSchemaVersion(session: Session): Promise<number> {
  const [tables] = await session.query<{ recorded: boolean }>(selectIsRecorded)
  if (tables?.recorded !== true) return 0
  const [row] = await session.query<{ version: number }>(selectSchemaVersion)
  return row?.version ?? 0
}
