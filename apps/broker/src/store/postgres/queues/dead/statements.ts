/** Messages of work queues that are dead. */

import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { DeadMessage, DeadPage, QueueKey } from '../../../queues.ts'
import type { MemberKey } from '../../../rows.ts'
import { type MessageRow, queuedMessageColumns, sealedFor, toMessage } from '../../../statements.ts'

const selectDead = prepare(`
  WITH dead AS MATERIALIZED (
    SELECT m.id, m.history_id, octet_length(m.sealed) AS bytes FROM mesh.message_queue m
     WHERE m.mesh_id = $1 AND m.queue = $2 AND m.state = 'dead' AND m.history_id > $4 AND ${sealedFor('mesh', '$3')}
     ORDER BY m.history_id LIMIT $5::integer + 1
  ), sized AS (
    SELECT d.id, row_number() OVER page AS number, sum(d.bytes) OVER page AS bytes, count(*) OVER () AS found
      FROM dead d WINDOW page AS (ORDER BY d.history_id)
  )
  SELECT s.found, ${queuedMessageColumns}, m.deliveries, m.leased_by AS consumer, m.settled_at AS "diedAt", m.reason
    FROM sized s CROSS JOIN LATERAL (SELECT * FROM mesh.message_queue q WHERE q.id = s.id OFFSET 0) m
   WHERE s.number <= $5 AND (s.number = 1 OR s.bytes <= $6) ORDER BY s.number`)

/** The next dead messages that a consumer can open. */
export async function pageDead(
  session: Session,
  key: MemberKey,
  page: DeadPage,
): Promise<{ readonly messages: readonly DeadMessage[]; readonly more: boolean }> {
  const { queue, after, limit, bytesMax } = page
  type Row = MessageRow & Omit<DeadMessage, 'message'> & { readonly found: number }
  const values = [key.meshId, queue, key.memberId, after, limit, bytesMax]
  const rows = await session.query<Row>(selectDead, values)
  const messages = rows.map((row) => {
    const { deliveries, consumer, diedAt, reason } = row
    return { message: toMessage(row), deliveries, consumer, diedAt, reason }
  })
  return { messages, more: messages.length < (rows[0]?.found ?? 0) }
}

const lockDead = `
  WITH chosen AS MATERIALIZED (
    SELECT id FROM mesh.message_queue
     WHERE id = ANY ($1::text[]) AND mesh_id = $2 AND queue = $3 AND state = 'dead' ORDER BY id FOR UPDATE
  )`

const requeueDead = prepare(`${lockDead}
  UPDATE mesh.message_queue m
     SET state = 'ready', visible_at = 0, deliveries = 0, last_try = false, lease_id = NULL, leased_by = NULL,
         settled_at = NULL, reason = NULL
    FROM chosen c WHERE m.id = ANY ($1::text[]) AND m.id = c.id`)
const dropDead = prepare(`${lockDead}
  UPDATE mesh.message_queue m SET state = 'dropped', settled_at = $4, sealed = ''
    FROM chosen c WHERE m.id = ANY ($1::text[]) AND m.id = c.id`)

/** @returns how many of them were dead */
export function settleDead(
  session: Session,
  of: QueueKey,
  dead: { readonly action: 'requeue' | 'drop'; readonly ids: readonly string[]; readonly now: number },
): Promise<number> {
  const { action, ids, now } = dead
  if (action === 'requeue') return session.execute(requeueDead, [ids, of.meshId, of.queue])
  return session.execute(dropDead, [ids, of.meshId, of.queue, now])
}
