/** The SQL of a log that is mended: the only place where its rows are changed, in a file that is no store yet. */
import type { Session, Tx } from '../db/spi.ts'
import type { Event } from '../events/event.ts'

const selectGuards = `SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'events' ORDER BY name`

/** Runs something while events may be changed. */
export async function unguarded<T>(tx: Tx, run: () => Promise<T>): Promise<T> {
  const guards = await tx.query<{ readonly name: string; readonly sql: string }>(selectGuards)
  for (const { name } of guards) await tx.execute(`DROP TRIGGER ${name}`)
  const result = await run()
  for (const { sql } of guards) await tx.execute(sql)
  return result
}

const selectLast = 'SELECT coalesce(max(sequence), 0) AS last FROM events'

/** The highest number of an event that is there; 0 when there is none. */
export async function lastSequenceOf(session: Session): Promise<number> {
  const [row] = await session.query<{ readonly last: number }>(selectLast)
  return row?.last ?? 0
}

const replaceEvent = `
  INSERT OR REPLACE INTO events
    (sequence, created_at, event_type, subject_kind, subject_id, actor, payload, payload_digest, chain_digest)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

export async function putEvent(tx: Tx, event: Event): Promise<void> {
  const { sequence, created_at, event_type, subject_kind, subject_id, actor } = event
  const digests = [event.payload, event.payload_digest, event.chain_digest]
  await tx.execute(replaceEvent, [sequence, created_at, event_type, subject_kind, subject_id, actor, ...digests])
}

const updateHead = `
  UPDATE event_log_head SET last_sequence = $1, last_created_at = $2, last_chain_digest = $3 WHERE id = 1`

export async function setHead(
  tx: Tx,
  head: { readonly lastSequence: number; readonly lastCreatedAt: number; readonly lastChainDigest: Uint8Array },
): Promise<void> {
  await tx.execute(updateHead, [head.lastSequence, head.lastCreatedAt, head.lastChainDigest])
}

const selectPackage = 'SELECT 1 AS found FROM artifact_packages WHERE package_id = $1'

export async function hasPackage(session: Session, packageId: string): Promise<boolean> {
  return (await session.query(selectPackage, [packageId])).length > 0
}

const selectFinalized = `SELECT package_id FROM artifact_packages WHERE status = 'finalized' ORDER BY package_id`

export async function listFinalized(session: Session): Promise<readonly string[]> {
  const rows = await session.query<{ readonly package_id: string }>(selectFinalized)
  return rows.map(({ package_id }) => package_id)
}

const selectWithoutRetention = `
  SELECT p.package_id, p.retention_class, p.created_at, c.default_duration_seconds AS seconds
    FROM artifact_packages p LEFT JOIN retention_classes c ON c.retention_class = p.retention_class
   WHERE NOT EXISTS (SELECT 1 FROM retention_state r WHERE r.package_id = p.package_id) ORDER BY p.package_id`

interface WithoutRetention {
  readonly package_id: string
  readonly retention_class: string
  readonly created_at: number
  /** Null: for ever, or nothing is known of the class. */
  readonly seconds: number | null
}

export function listWithoutRetention(session: Session): Promise<readonly WithoutRetention[]> {
  return session.query(selectWithoutRetention)
}
