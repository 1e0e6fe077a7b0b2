/** The SQL of the log. */
import type { Session, Tx } from '../db/spi.ts'
import type { Event } from './event.ts'

export interface Head {
  readonly lastSequence: number
  readonly lastCreatedAt: number
  readonly lastChainDigest: Uint8Array
}

interface HeadRow {
  readonly last_sequence: number
  readonly last_created_at: number
  readonly last_chain_digest: Uint8Array
}

const reserveNumbers = `
  UPDATE event_log_head
     SET last_sequence = last_sequence + $1,
         last_created_at = CASE WHEN last_created_at < $2 THEN $2 ELSE last_created_at END
   WHERE id = 1
  RETURNING last_sequence, last_created_at, last_chain_digest`

/** Takes the next `count` numbers, and with them the lock of the head. @returns the head, its chain digest still the old one */
export async function reserve(tx: Tx, count: number, now: number): Promise<Head> {
  return toHead(await tx.query<HeadRow>(reserveNumbers, [count, now]))
}

const updateChain = 'UPDATE event_log_head SET last_chain_digest = $1 WHERE id = 1'

export async function setChain(tx: Tx, chainDigest: Uint8Array): Promise<void> {
  await tx.execute(updateChain, [chainDigest])
}

const selectHead = 'SELECT last_sequence, last_created_at, last_chain_digest FROM event_log_head WHERE id = 1'

export async function readHead(session: Session): Promise<Head> {
  return toHead(await session.query<HeadRow>(selectHead))
}

function toHead([row]: readonly HeadRow[]): Head {
  if (row === undefined) throw new Error('the log of events has no head')
  return {
    lastSequence: row.last_sequence,
    lastCreatedAt: row.last_created_at,
    lastChainDigest: row.last_chain_digest,
  }
}

const insertEvent = `
  INSERT INTO events (sequence, created_at, event_type, subject_kind, subject_id, actor, payload, payload_digest, chain_digest)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

export async function insert(tx: Tx, event: Event): Promise<void> {
  const { sequence, created_at, event_type, subject_kind, subject_id, actor } = event
  const digests = [event.payload, event.payload_digest, event.chain_digest]
  await tx.execute(insertEvent, [sequence, created_at, event_type, subject_kind, subject_id, actor, ...digests])
}

const selectSizes = `
  SELECT sequence, octet_length(payload) AS bytes FROM events WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3`

/** How large the payloads of the next events are. */
export function listSizes(
  session: Session,
  o: { readonly after: number; readonly upTo: number; readonly eventsMax: number },
): Promise<readonly { readonly sequence: number; readonly bytes: number }[]> {
  return session.query(selectSizes, [o.after, o.upTo, o.eventsMax])
}

const columns =
  'sequence, created_at, event_type, subject_kind, subject_id, actor, payload, payload_digest, chain_digest'

const selectEvents = `SELECT ${columns} FROM events WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence`

export function listEvents(
  session: Session,
  o: { readonly after: number; readonly upTo: number },
): Promise<readonly Event[]> {
  return session.query(selectEvents, [o.after, o.upTo])
}

const selectFirstOf = `
  SELECT min(sequence) AS sequence FROM events WHERE subject_kind = $1 AND subject_id = $2`

/** The number of the first event about a subject; null when there is none. */
export async function findFirstSequence(session: Session, kind: string, id: string): Promise<number | null> {
  const [row] = await session.query<{ sequence: number | null }>(selectFirstOf, [kind, id])
  return row?.sequence ?? null
}

const selectOne = `SELECT ${columns} FROM events WHERE subject_kind = $1 AND subject_id = $2 AND event_type = $3
                    ORDER BY sequence LIMIT 1`

/** The first event of a type about a subject. */
export async function findEvent(
  session: Session,
  o: { readonly kind: string; readonly id: string; readonly type: string },
): Promise<Event | null> {
  const [row] = await session.query<Event>(selectOne, [o.kind, o.id, o.type])
  return row ?? null
}
