/** Messages of work queues as they are taken and settled. */

import { prepare, type Session } from '@claudemesh/storage/postgres'
import { dueHeldMax } from '../../../../limits.ts'
import type { QueuedState } from '../../../queue-states.ts'
import type { LeasedMessage, QueueKey, TakeRequest } from '../../../queues.ts'
import type { MemberKey, Receipt } from '../../../rows.ts'
import { type MessageRow, queuedMessageColumns, sealedFor, toMessage } from '../../../statements.ts'

/** When a member, $3, was a consumer of queue $2. */
const terms = `
  SELECT c.since_history_id AS since, coalesce(c.until_history_id, 9223372036854775807) AS until
    FROM mesh.queue_consumer c WHERE c.mesh_id = $1 AND c.queue = $2 AND c.member_id = $3`

/** What a consumer can take at once: of each urgency and each of its terms the first ones. */
const selectFresh = (limit: string) => `
  SELECT f.id, f.urgency, f.history_id
    FROM (${terms}) t CROSS JOIN unnest('{0,1,2}'::smallint[]) AS u (urgency) CROSS JOIN LATERAL
         (SELECT m.id, m.urgency, m.history_id FROM mesh.message_queue m
           WHERE m.mesh_id = $1 AND m.queue = $2 AND m.urgency = u.urgency AND m.visible_at = 0
             AND m.history_id > t.since AND m.history_id <= t.until AND NOT m.last_try
           ORDER BY m.history_id LIMIT ${limit}) f`

/** What was leased or held back until $4 at the latest, longest ago first. */
const selectHeld = (limit: string) => `
  SELECT m.id, m.urgency, m.history_id FROM mesh.message_queue m
   WHERE m.mesh_id = $1 AND m.queue = $2 AND m.visible_at > 0 AND m.visible_at <= $4 AND NOT m.last_try AND ${sealedFor('mesh', '$3')}
   ORDER BY m.visible_at LIMIT ${limit}`

const selectDue = prepare(`SELECT EXISTS (${selectFresh('1')}) OR EXISTS (${selectHeld('1')}) AS due`)

/** Whether a consumer can take something. */
export async function isDue(session: Session, request: TakeRequest): Promise<boolean> {
  const { meshId, queue, memberId, now } = request
  const [row] = await session.query<{ due: boolean }>(selectDue, [meshId, queue, memberId, now])
  return row?.due === true
}

const selectNext = prepare(`
  SELECT 0::bigint AS at WHERE EXISTS (SELECT 1 FROM mesh.message_queue
    WHERE mesh_id = $1 AND queue = $2 AND visible_at = 0 AND NOT last_try)
   UNION ALL
  (SELECT visible_at FROM mesh.message_queue
    WHERE mesh_id = $1 AND queue = $2 AND visible_at > 0 AND NOT last_try ORDER BY visible_at LIMIT 1)`)

/** When the next message of a queue can be taken, by whomever. */
export async function findNextAt(session: Session, { meshId, queue }: QueueKey): Promise<number | null> {
  const rows = await session.query<{ at: number }>(selectNext, [meshId, queue])
  return rows.length === 0 ? null : Math.min(...rows.map(({ at }) => at))
}

/** What somebody else is just taking is passed over: there are more candidates than are taken. */
const leaseDue = prepare(`
  WITH candidate AS MATERIALIZED (
    SELECT * FROM (${selectFresh('$10::bigint')}) fresh UNION ALL SELECT * FROM (${selectHeld('$10::bigint')}) held
  ), due AS MATERIALIZED (
    SELECT m.id, m.urgency, m.history_id, octet_length(m.sealed) AS bytes
      FROM mesh.message_queue m
     WHERE m.id = ANY (ARRAY(SELECT c.id FROM candidate c)) AND m.visible_at <= $4 AND NOT m.last_try
     ORDER BY m.urgency, m.history_id LIMIT $5 FOR UPDATE SKIP LOCKED
  ), sized AS (
    SELECT d.id, row_number() OVER page AS number, sum(d.bytes) OVER page AS bytes
      FROM due d WINDOW page AS (ORDER BY d.urgency, d.history_id)
  ), leased AS (
    UPDATE mesh.message_queue m
       SET state = 'leased', visible_at = $7, deliveries = m.deliveries + 1, last_try = m.deliveries + 1 >= $8,
           lease_id = $9, leased_by = $3
      FROM sized s
     WHERE m.id = ANY (ARRAY(SELECT d.id FROM due d)) AND m.id = s.id AND (s.number = 1 OR s.bytes <= $6)
    RETURNING ${queuedMessageColumns}, m.urgency, m.deliveries
  )
  SELECT * FROM leased ORDER BY urgency, "historyId"`)

/** Leases what is due, as much as the request takes. */
export async function leaseNext(
  session: Session,
  request: TakeRequest,
  maxDeliveries: number,
): Promise<readonly LeasedMessage[]> {
  const { leaseId } = request
  const leaseUntil = request.now + request.leaseMs
  const rows = await session.query<MessageRow & { readonly deliveries: number }>(leaseDue, [
    request.meshId,
    request.queue,
    request.memberId,
    request.now,
    request.limit,
    request.bytesMax,
    leaseUntil,
    maxDeliveries,
    leaseId,
    dueHeldMax,
  ])
  return rows.map((row) => ({ message: toMessage(row), leaseId, leaseUntil, deliveries: row.deliveries }))
}

const unlease = prepare(`
  UPDATE mesh.message_queue
     SET state = 'ready', visible_at = 0, deliveries = deliveries - 1, last_try = false, lease_id = NULL
   WHERE mesh_id = $1 AND leased_by = $2 AND queue = $3 AND lease_id = $4 AND state = 'leased'`)

export async function undoLease(
  session: Session,
  key: MemberKey,
  taken: { readonly queue: string; readonly leaseId: string },
): Promise<void> {
  await session.execute(unlease, [key.meshId, key.memberId, taken.queue, taken.leaseId])
}

/** A message as far as settling it, and telling its sender, is concerned. */
export interface Work {
  readonly brokerMessageId: string
  readonly meshId: string
  readonly queue: string
  readonly sender: string
  readonly clientMessageId: string
  readonly receipts: boolean
  readonly state: QueuedState
  readonly lastTry: boolean
  readonly leaseId: string | null
  readonly leasedBy: string | null
  readonly reason: string | null
}

const workColumns = `
  id AS "brokerMessageId", mesh_id AS "meshId", queue, sender, client_message_id AS "clientMessageId", receipts, state,
  last_try AS "lastTry", lease_id AS "leaseId", leased_by AS "leasedBy", reason`

const lockWork = prepare(`
  SELECT ${workColumns} FROM mesh.message_queue WHERE id = ANY ($1::text[]) AND mesh_id = $2 ORDER BY id FOR UPDATE`)

/** Messages of a mesh, until the end of the transaction as they are. */
export function holdWork(session: Session, meshId: string, ids: readonly string[]): Promise<readonly Work[]> {
  return session.query<Work>(lockWork, [[...new Set(ids)], meshId])
}

const updateFar = prepare(`
  UPDATE mesh.message_queue w SET visible_at = $2
    FROM (SELECT m.id FROM mesh.queue q
            JOIN mesh.message_queue m
              ON m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at > 0 AND m.visible_at > $1
           LIMIT $3 FOR UPDATE OF m SKIP LOCKED) far
   WHERE w.id = far.id`)

/** Lets work be taken that is held back or leased beyond `latest`. @returns how many */
export function bringNear(
  session: Session,
  { latest, now, rowsMax }: { readonly latest: number; readonly now: number; readonly rowsMax: number },
): Promise<number> {
  return session.execute(updateFar, [latest, now, rowsMax])
}

const selectExhausted = prepare(`
  SELECT ${workColumns} FROM mesh.message_queue
   WHERE last_try AND visible_at IS NOT NULL AND visible_at <= $1 ORDER BY visible_at LIMIT $2`)

/** Messages whose last delivery has come back. */
export function listExhausted(
  session: Session,
  { now, rowsMax }: { readonly now: number; readonly rowsMax: number },
): Promise<readonly Work[]> {
  return session.query<Work>(selectExhausted, [now, rowsMax])
}

const lockExhausted = prepare(`
  SELECT ${workColumns} FROM mesh.message_queue
   WHERE id = ANY ($1::text[]) AND last_try AND visible_at IS NOT NULL AND visible_at <= $2 ORDER BY id FOR UPDATE`)

/** Those of the messages that are still to be buried. */
export function holdExhausted(session: Session, ids: readonly string[], now: number): Promise<readonly Work[]> {
  return session.query<Work>(lockExhausted, [ids, now])
}

/** How a message is, once it is settled. */
export interface Settled {
  readonly id: string
  readonly state: 'ready' | 'leased' | 'done' | 'dead'
  readonly visibleAt: number | null
  readonly settledAt: number | null
  readonly reason: string | null
}

const updateSettled = prepare(`
  UPDATE mesh.message_queue m
     SET state = s.state, visible_at = s.visible_at, settled_at = s.settled_at, reason = s.reason,
         sealed = CASE s.state WHEN 'done' THEN ''::bytea ELSE m.sealed END
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[])
           AS s (id, state, visible_at, settled_at, reason)
   WHERE m.id = ANY ($1::text[]) AND m.id = s.id AND m.state IN ('ready', 'leased')`)

/** @returns how many of them were open */
export function saveSettled(session: Session, settled: readonly Settled[]): Promise<number> {
  return session.execute(updateSettled, [
    settled.map(({ id }) => id),
    settled.map(({ state }) => state),
    settled.map(({ visibleAt }) => visibleAt),
    settled.map(({ settledAt }) => settledAt),
    settled.map(({ reason }) => reason),
  ])
}

const insertReceipts = prepare(`
  WITH fact AS MATERIALIZED (
    SELECT f.*, row_number() OVER (PARTITION BY f.mesh_id ORDER BY f.position) AS number
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
             AS f (mesh_id, sender, id, client_message_id, recipient, state, reason, position)
  ), counter AS (
    UPDATE mesh.mesh_counter c SET last_delivery_id = c.last_delivery_id + given.receipts
      FROM (SELECT mesh_id, count(*) AS receipts FROM fact GROUP BY mesh_id) given
     WHERE c.mesh_id = given.mesh_id
    RETURNING c.mesh_id, c.last_delivery_id - given.receipts AS base
  )
  INSERT INTO mesh.receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state,
         reason, at)
  SELECT f.mesh_id, f.sender, c.base + f.number, f.id, f.client_message_id, f.recipient, f.state, f.reason, $8
    FROM fact f JOIN counter c ON c.mesh_id = f.mesh_id`)

/** What is proven of one message. */
export type Fact = Pick<Receipt, 'recipient' | 'state' | 'reason'> & { readonly work: Work }

/** Leaves receipts for senders. Their meshes are locked. */
export async function leaveReceipts(session: Session, facts: readonly Fact[], at: number): Promise<void> {
  await session.execute(insertReceipts, [
    facts.map(({ work }) => work.meshId),
    facts.map(({ work }) => work.sender),
    facts.map(({ work }) => work.brokerMessageId),
    facts.map(({ work }) => work.clientMessageId),
    facts.map(({ recipient }) => recipient),
    facts.map(({ state }) => state),
    facts.map(({ reason }) => reason),
    at,
  ])
}

const selectCounts = prepare(`
  SELECT least(100001, (SELECT count(*) FROM (SELECT 1 FROM mesh.message_queue
                         WHERE visible_at = 0 LIMIT 100001) fresh) +
                       (SELECT count(*) FROM (SELECT 1 FROM mesh.message_queue
                         WHERE visible_at > 0 AND state = 'ready' LIMIT 100001) held)) AS ready,
         (SELECT count(*) FROM (SELECT 1 FROM mesh.message_queue WHERE state = 'leased' LIMIT 100001) leased) AS leased,
         (SELECT count(*) FROM (SELECT 1 FROM mesh.message_queue WHERE state = 'dead' LIMIT 100001) dead) AS dead`)

export async function countWork(session: Session) {
  const [row] = await session.query<{ ready: number; leased: number; dead: number }>(selectCounts)
  return row ?? { ready: 0, leased: 0, dead: 0 }
}
