import { prepare, type Session } from '@claudemesh/storage/postgres'
import { writeChecks } from '../../inspection/statements.ts'
import type { Finding } from '../../inspection.ts'

export const checks = writeChecks('mesh', (n) => `$${n}`)

/** Runs a statement of the checks. */
export function queryRows(
  session: Session,
  text: string,
  values: readonly (string | number)[],
): Promise<readonly Finding['row'][]> {
  return session.query<Finding['row']>(prepare(text), values)
}

const selectSettings = prepare(`
  SELECT name AS setting, current_setting(name) AS value FROM unnest($1::text[]) AS name`)

/** The values of settings, as the server names them. */
export function readDurabilitySettings(session: Session, names: readonly string[]) {
  return session.query<{ readonly setting: string; readonly value: string }>(selectSettings, [names])
}
