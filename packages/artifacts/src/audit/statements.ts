/** The SQL of looking through the log. There is no table for it: the log is the record. */
import type { Session, SqlValue } from '../db/spi.ts'
import type { Event } from '../events/event.ts'

export interface AuditFilter {
  readonly subject?: { readonly kind: string; readonly id: string }
  readonly actor?: string
  readonly type?: string
}

/** Events after a number that fit, without their payloads' bytes being read for those that do not. */
export function pageAudit(
  session: Session,
  o: { readonly filter: AuditFilter; readonly since: number; readonly limit: number },
): Promise<readonly Event[]> {
  const values: SqlValue[] = [o.since, o.limit]
  const conditions = ['sequence > $1']
  const equal = (column: string, value: string | undefined) => {
    if (value !== undefined) conditions.push(`${column} = $${values.push(value)}`)
  }
  equal('subject_kind', o.filter.subject?.kind)
  equal('subject_id', o.filter.subject?.id)
  equal('actor', o.filter.actor)
  equal('event_type', o.filter.type)
  return session.query(
    `SELECT sequence, created_at, event_type, subject_kind, subject_id, actor, payload, payload_digest, chain_digest
       FROM events WHERE ${conditions.join(' AND ')} ORDER BY sequence LIMIT $2`,
    values,
  )
}
