import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { Delivery, MemberKey, Message, Receipt } from '../../rows.ts'
import { type MessageRow, messageColumns, toMessage } from '../../statements.ts'
import type { ClaimRequest, HistoryPage } from '../../store.ts'

/**
 * Rows that another connection of the member is claiming at this moment are passed over: they are as good as claimed. A
 * connection that has lost its seat claims nothing more, or a newer one would get what comes first last.
 */
const claimDeliveries = prepare(`
  WITH own_seat AS MATERIALIZED (
    SELECT s.ending FROM mesh.seat s WHERE s.connection_id = $4 FOR SHARE
  ), free AS MATERIALIZED (
    SELECT d.delivery_id, d.broker_message_id FROM mesh.delivery_queue d
     WHERE d.mesh_id = $1 AND d.recipient = $2 AND (d.claimed_until IS NULL OR d.claimed_until <= $3)
       AND NOT EXISTS (SELECT 1 FROM own_seat o WHERE o.ending IS NOT NULL)
     ORDER BY d.delivery_id LIMIT $6 FOR UPDATE SKIP LOCKED
  ), sized AS MATERIALIZED (
    SELECT f.delivery_id, f.broker_message_id, row_number() OVER delivered AS number,
           sum(m.bytes) OVER delivered AS bytes
      FROM free f CROSS JOIN LATERAL
           (SELECT octet_length(t.sealed) AS bytes FROM mesh.topic_message t
             WHERE t.id = f.broker_message_id OFFSET 0) m
    WINDOW delivered AS (ORDER BY f.delivery_id)
  ), taken AS MATERIALIZED (
    SELECT s.delivery_id, s.broker_message_id FROM sized s WHERE s.number = 1 OR s.bytes <= $7
  ), claimed AS (
    UPDATE mesh.delivery_queue SET claimed_by = $4, claimed_until = $5
     WHERE mesh_id = $1 AND recipient = $2
       AND delivery_id BETWEEN (SELECT min(t.delivery_id) FROM taken t) AND (SELECT max(t.delivery_id) FROM taken t)
       AND delivery_id = ANY (ARRAY(SELECT t.delivery_id FROM taken t))
  )
  SELECT t.delivery_id AS "deliveryId", m.*
    FROM taken t CROSS JOIN LATERAL
         (SELECT ${messageColumns} FROM mesh.topic_message m WHERE m.id = t.broker_message_id OFFSET 0) m
   ORDER BY t.delivery_id`)

/** Claims the next messages that are free. */
export async function takeDeliveries(
  session: Session,
  request: ClaimRequest & { readonly now: number },
): Promise<readonly Delivery[]> {
  const rows = await session.query<MessageRow & { readonly deliveryId: number }>(claimDeliveries, [
    request.meshId,
    request.memberId,
    request.now,
    request.connectionId,
    request.now + request.leaseMs,
    request.itemsMax,
    request.bytesMax,
  ])
  return rows.map((row) => ({ deliveryId: row.deliveryId, message: toMessage(row) }))
}

const claimReceipts = prepare(`
  WITH free AS MATERIALIZED (
    SELECT r.delivery_id FROM mesh.receipt r
     WHERE r.mesh_id = $1 AND r.member_id = $2 AND (r.claimed_until IS NULL OR r.claimed_until <= $3)
     ORDER BY r.delivery_id LIMIT $6 FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE mesh.receipt r SET claimed_by = $4, claimed_until = $5
     WHERE r.mesh_id = $1 AND r.member_id = $2
       AND r.delivery_id BETWEEN (SELECT min(f.delivery_id) FROM free f) AND (SELECT max(f.delivery_id) FROM free f)
       AND r.delivery_id = ANY (ARRAY(SELECT f.delivery_id FROM free f))
    RETURNING r.delivery_id AS "deliveryId", r.broker_message_id AS "brokerMessageId",
              r.client_message_id AS "clientMessageId", r.recipient, r.state, r.reason, r.at
  )
  SELECT * FROM claimed ORDER BY "deliveryId"`)

/** Claims the next receipts that are free. */
export function takeReceipts(
  session: Session,
  request: ClaimRequest & { readonly now: number },
): Promise<readonly Receipt[]> {
  return session.query<Receipt>(claimReceipts, [
    request.meshId,
    request.memberId,
    request.now,
    request.connectionId,
    request.now + request.leaseMs,
    request.itemsMax,
  ])
}

const releaseDeliveries = prepare(`
  UPDATE mesh.delivery_queue SET claimed_by = NULL, claimed_until = NULL
   WHERE mesh_id = $1 AND recipient = $2 AND claimed_by = $3 AND delivery_id <= $4`)
const releaseReceipts = prepare(`
  UPDATE mesh.receipt SET claimed_by = NULL, claimed_until = NULL
   WHERE mesh_id = $1 AND member_id = $2 AND claimed_by = $3 AND delivery_id <= $4`)

/** Gives back what a connection has claimed, up to the last id that it was given. */
export async function giveBack(
  session: Session,
  held: MemberKey & { readonly connectionId: string; readonly lastId: number },
): Promise<void> {
  const values = [held.meshId, held.memberId, held.connectionId, held.lastId]
  await session.execute(releaseDeliveries, values)
  await session.execute(releaseReceipts, values)
}

const selectOwed = prepare(`
  WITH delivered AS MATERIALIZED (
    SELECT d.broker_message_id FROM mesh.delivery_queue d
     WHERE d.mesh_id = $1 AND d.recipient = $2 AND d.delivery_id BETWEEN $4 AND $5
       AND d.delivery_id = ANY ($3::bigint[])
  )
  SELECT count(*) AS owed
    FROM delivered d CROSS JOIN LATERAL
         (SELECT 1 FROM mesh.topic_message m WHERE m.id = d.broker_message_id AND m.receipts OFFSET 0) m`)

/** How many of these deliveries owe their sender a receipt. */
export async function countOwed(session: Session, member: MemberKey, deliveryIds: readonly number[]): Promise<number> {
  const [row] = await session.query<{ owed: number }>(selectOwed, [
    member.meshId,
    member.memberId,
    deliveryIds,
    ...rangeOf(deliveryIds),
  ])
  return row?.owed ?? 0
}

const deleteAcknowledged = prepare(`
  WITH acknowledged AS MATERIALIZED (
    SELECT DISTINCT ON (a.delivery_id) a.*
      FROM unnest($3::bigint[], $4::text[], $5::text[]) WITH ORDINALITY AS a (delivery_id, state, reason, position)
     ORDER BY a.delivery_id, a.position
  ), told AS (
    DELETE FROM mesh.receipt
     WHERE mesh_id = $1 AND member_id = $2 AND delivery_id BETWEEN $7 AND $8 AND delivery_id = ANY ($3::bigint[])
  ), delivered AS (
    DELETE FROM mesh.delivery_queue
     WHERE mesh_id = $1 AND recipient = $2 AND delivery_id BETWEEN $7 AND $8 AND delivery_id = ANY ($3::bigint[])
    RETURNING delivery_id, broker_message_id
  ), owed AS MATERIALIZED (
    SELECT m.*, a.state, a.reason, row_number() OVER (ORDER BY d.delivery_id) AS number
      FROM delivered d JOIN acknowledged a ON a.delivery_id = d.delivery_id CROSS JOIN LATERAL
           (SELECT t.id, t.sender, t.client_message_id FROM mesh.topic_message t
             WHERE t.id = d.broker_message_id AND t.receipts OFFSET 0) m
  ), counter AS (
    UPDATE mesh.mesh_counter c SET last_delivery_id = c.last_delivery_id + given.receipts
      FROM (SELECT count(*) AS receipts FROM owed) given
     WHERE c.mesh_id = $1 AND given.receipts > 0
    RETURNING c.last_delivery_id - given.receipts AS base
  )
  INSERT INTO mesh.receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state,
         reason, at)
  SELECT $1, o.sender, c.base + o.number, o.id, o.client_message_id, $2, o.state, o.reason, $6
    FROM owed o CROSS JOIN counter c
  RETURNING member_id AS sender`)

/**
 * Deletes deliveries and receipts of a member, and leaves a receipt for each message whose sender wants one.
 *
 * @returns the senders, one for each receipt
 */
export async function deleteAll(
  session: Session,
  member: MemberKey,
  acknowledged: {
    readonly items: readonly Pick<Receipt, 'deliveryId' | 'state' | 'reason'>[]
    readonly at: number
  },
): Promise<readonly string[]> {
  const { items, at } = acknowledged
  const deliveryIds = items.map((item) => item.deliveryId)
  const rows = await session.query<{ sender: string }>(deleteAcknowledged, [
    member.meshId,
    member.memberId,
    deliveryIds,
    items.map((item) => item.state),
    items.map((item) => item.reason),
    at,
    ...rangeOf(deliveryIds),
  ])
  return rows.map((row) => row.sender)
}

/** The first and the last: what bounds the part of an index that is read for them, whatever the planner thinks of it. */
function rangeOf(deliveryIds: readonly number[]): readonly [number, number] {
  return [
    deliveryIds.reduce((least, each) => Math.min(least, each), Number.MAX_SAFE_INTEGER),
    deliveryIds.reduce((greatest, each) => Math.max(greatest, each), 0),
  ]
}

/**
 * Of each destination of the member the next few positions are read from an index and merged; only then the messages
 * themselves, as many as the page may carry.
 */
const selectHistory = prepare(`
  WITH source AS (
    SELECT 'dm' AS kind, $2::text AS ref, $3::bigint AS after_id, '' AS except_sender
     UNION ALL
    -- A sender is no recipient of its own post.
    SELECT 'topic', s.topic, greatest($3::bigint, s.since_history_id), $2::text
      FROM mesh.topic_subscription s WHERE s.mesh_id = $1 AND s.member_id = $2
  ), position AS MATERIALIZED (
    SELECT p.id, p.history_id
      FROM source CROSS JOIN LATERAL
           (SELECT m.id, m.history_id FROM mesh.topic_message m
             WHERE m.mesh_id = $1 AND m.destination_kind = source.kind AND m.destination_ref = source.ref
               AND m.history_id > source.after_id AND m.accepted_at >= $4 AND m.sender <> source.except_sender
             ORDER BY m.history_id LIMIT $5::bigint + 1) p
     ORDER BY p.history_id LIMIT $5::bigint + 1
  ), sized AS MATERIALIZED (
    SELECT p.id, row_number() OVER page AS number, sum(m.bytes) OVER page AS bytes, count(*) OVER () AS positions
      FROM position p CROSS JOIN LATERAL
           (SELECT octet_length(t.sealed) AS bytes FROM mesh.topic_message t WHERE t.id = p.id OFFSET 0) m
    WINDOW page AS (ORDER BY p.history_id)
  )
  SELECT s.positions, m.*
    FROM sized s CROSS JOIN LATERAL
         (SELECT ${messageColumns} FROM mesh.topic_message m WHERE m.id = s.id OFFSET 0) m
   WHERE s.number <= $5 AND (s.number = 1 OR s.bytes <= $6)
   ORDER BY s.number`)

/** The next messages of a member's own history, as they are at one moment. */
export async function readHistory(
  session: Session,
  member: MemberKey,
  page: HistoryPage,
): Promise<{ readonly messages: readonly Message[]; readonly more: boolean }> {
  const rows = await session.query<MessageRow & { readonly positions: number }>(selectHistory, [
    member.meshId,
    member.memberId,
    page.after,
    page.since,
    page.limit,
    page.bytesMax,
  ])
  return { messages: rows.map(toMessage), more: rows.length < (rows[0]?.positions ?? 0) }
}
