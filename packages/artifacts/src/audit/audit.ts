/** Who did what, as the log has it (06 §1). */
import { ArtifactError } from '../artifact-error.ts'
import type { Limits } from '../config/limits.ts'
import type { Event } from '../events/event.ts'
import type { EventLog } from '../events/event-log.ts'
import { checkLimit } from '../registry/input.ts'
import { type AuditFilter, pageAudit } from './statements.ts'

export interface AuditOptions extends AuditFilter {
  /** The number after which to begin; 0 unless another is given. */
  readonly since?: number
  readonly limit?: number
}

/** One page of the log, filtered. @throws ArtifactError `invalid_cursor`, `invalid_request` */
export function readAudit(log: EventLog, limits: Limits, o: AuditOptions): Promise<readonly Event[]> {
  const { since = 0, limit, ...filter } = o
  if (!Number.isSafeInteger(since) || since < 0) throw new ArtifactError('invalid_cursor')
  const rows = checkLimit(limit, limits)
  return log.read((session) => pageAudit(session, { filter, since, limit: rows }))
}
