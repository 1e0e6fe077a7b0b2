import { prepare, type Session } from '@claudemesh/storage/postgres'

export interface OldMessage {
  readonly brokerMessageId: string
  readonly historyId: number
  readonly sender: string
  readonly clientMessageId: string
  readonly acceptedAt: number
  /** How many recipients have not got it. */
  readonly waiting: number
}

const selectDueMeshes = prepare(`
  SELECT h.id AS "meshId", h.before
    FROM (SELECT id, $1::bigint - coalesce(message_retention_days, $2::integer)::bigint * 86400000 AS before
            FROM mesh.mesh) h
   WHERE (SELECT coalesce(m.accepted_at, w.accepted_at)
            FROM mesh.message_history i LEFT JOIN mesh.topic_message m ON m.id = i.broker_message_id
                 LEFT JOIN mesh.message_queue w ON w.id = i.broker_message_id
           WHERE i.mesh_id = h.id AND coalesce(m.accepted_at, w.accepted_at) <= $1::bigint + 86400000
           ORDER BY i.history_id LIMIT 1) < h.before
      OR EXISTS (SELECT 1 FROM mesh.receipt r WHERE r.mesh_id = h.id AND r.at < h.before)
   ORDER BY h.id`)
const selectOldest = prepare(`
  SELECT i.history_id AS "historyId", i.broker_message_id AS "brokerMessageId", coalesce(m.sender, w.sender) AS sender,
         coalesce(m.client_message_id, w.client_message_id) AS "clientMessageId",
         coalesce(m.accepted_at, w.accepted_at) AS "acceptedAt",
         (SELECT count(*) FROM mesh.delivery_queue d WHERE d.broker_message_id = m.id) AS waiting
    FROM mesh.message_history i LEFT JOIN mesh.topic_message m ON m.id = i.broker_message_id
         LEFT JOIN mesh.message_queue w ON w.id = i.broker_message_id
   WHERE i.mesh_id = $1 AND coalesce(m.accepted_at, w.accepted_at) <= $2 ORDER BY i.history_id LIMIT $3`)
// A message, everything that hangs on it, and what its sender is told of those who never got it: one statement.
const deleteMessages = prepare(`
  WITH old AS (
    SELECT * FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[])
                  AS o(id, history_id, sender, client_message_id)),
  dropped AS (
    DELETE FROM mesh.delivery_queue d USING old o WHERE d.broker_message_id = o.id
    RETURNING d.broker_message_id, d.recipient, d.delivery_id),
  -- Work that nobody has done: the recipient is who had it last, else the first that could have had it.
  undone AS MATERIALIZED (
    SELECT w.id AS broker_message_id, w.sender, w.client_message_id, w.history_id,
           coalesce(w.leased_by,
                    (SELECT min(c.member_id) FROM mesh.queue_consumer c
                      WHERE c.mesh_id = w.mesh_id AND c.queue = w.queue AND c.since_history_id < w.history_id
                        AND (c.until_history_id IS NULL OR c.until_history_id >= w.history_id)),
                    q.created_by) AS recipient
      FROM old o CROSS JOIN LATERAL
           (SELECT * FROM mesh.message_queue m
             WHERE m.id = o.id AND m.visible_at IS NOT NULL AND m.receipts OFFSET 0) w
           JOIN mesh.queue q ON q.mesh_id = w.mesh_id AND q.name = w.queue),
  fact AS (
    SELECT f.*, row_number() OVER (ORDER BY f.history_id, f.delivery_id) AS place
      FROM (SELECT d.broker_message_id, d.recipient, m.sender, m.client_message_id, m.history_id, d.delivery_id
              FROM dropped d JOIN mesh.topic_message m ON m.id = d.broker_message_id WHERE m.receipts
             UNION ALL
            SELECT u.broker_message_id, u.recipient, u.sender, u.client_message_id, u.history_id, 0
              FROM undone u) f),
  counter AS (
    UPDATE mesh.mesh_counter SET last_delivery_id = last_delivery_id + (SELECT count(*) FROM fact)
     WHERE mesh_id = $1
    RETURNING last_delivery_id - (SELECT count(*) FROM fact) AS base),
  told AS (
    INSERT INTO mesh.receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state,
           reason, at)
    SELECT $1::text, f.sender, c.base + f.place, f.broker_message_id, f.client_message_id, f.recipient,
           'undeliverable', 'expired', $6::bigint
      FROM fact f CROSS JOIN counter c
    RETURNING member_id),
  mentions AS (DELETE FROM mesh.mention_index i USING old o WHERE i.broker_message_id = o.id),
  history AS (DELETE FROM mesh.message_history i USING old o WHERE i.mesh_id = $1 AND i.history_id = o.history_id),
  known AS (
    UPDATE mesh.client_message_dedupe k SET history_available = false FROM old o
     WHERE k.mesh_id = $1 AND k.sender = o.sender AND k.client_message_id = o.client_message_id
       AND k.history_available),
  messages AS (DELETE FROM mesh.topic_message m USING old o WHERE m.id = o.id RETURNING m.id),
  work AS (DELETE FROM mesh.message_queue w USING old o WHERE w.id = o.id RETURNING w.id)
  SELECT (SELECT count(*) FROM dropped) AS deliveries,
         (SELECT count(*) FROM messages) + (SELECT count(*) FROM work) AS messages,
         ARRAY(SELECT DISTINCT member_id FROM told) AS notified`)
const deleteReceipts = prepare(`
  DELETE FROM mesh.receipt r USING
         (SELECT member_id, delivery_id FROM mesh.receipt WHERE mesh_id = $1 AND at < $2
           ORDER BY at LIMIT $3 FOR UPDATE SKIP LOCKED) old
   WHERE r.mesh_id = $1 AND r.member_id = old.member_id AND r.delivery_id = old.delivery_id`)
// Whoever is just looking at an id keeps it for this time.
const deleteDedupe = prepare(`
  DELETE FROM mesh.client_message_dedupe k USING
         (SELECT mesh_id, sender, client_message_id FROM mesh.client_message_dedupe
           WHERE expires_at IS NOT NULL AND NOT history_available AND expires_at <= $1
           ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) old
   WHERE k.mesh_id = old.mesh_id AND k.sender = old.sender AND k.client_message_id = old.client_message_id`)

/** Meshes that have something past its retention, in order of their ids. */
export function listDueMeshes(
  session: Session,
  { now, messageRetentionDays }: { readonly now: number; readonly messageRetentionDays: number },
): Promise<readonly { readonly meshId: string; readonly before: number }[]> {
  return session.query(selectDueMeshes, [now, messageRetentionDays])
}

/** In the order in which they were accepted, without those of a clock that was ahead of `latest`. */
export function listOldest(
  session: Session,
  { meshId, latest, limit }: { readonly meshId: string; readonly latest: number; readonly limit: number },
): Promise<readonly OldMessage[]> {
  return session.query<OldMessage>(selectOldest, [meshId, latest, limit])
}

/** @returns how many went, and the senders for whom a receipt waits now */
export async function deleteOldMessages(
  session: Session,
  { meshId, messages, at }: { readonly meshId: string; readonly messages: readonly OldMessage[]; readonly at: number },
): Promise<{ readonly deliveries: number; readonly messages: number; readonly notified: readonly string[] }> {
  const [gone] = await session.query<{ deliveries: number; messages: number; notified: readonly string[] }>(
    deleteMessages,
    [
      meshId,
      messages.map(({ brokerMessageId }) => brokerMessageId),
      messages.map(({ historyId }) => historyId),
      messages.map(({ sender }) => sender),
      messages.map(({ clientMessageId }) => clientMessageId),
      at,
    ],
  )
  return gone ?? { deliveries: 0, messages: 0, notified: [] }
}

export function deleteOldReceipts(
  session: Session,
  { meshId, before, limit }: { readonly meshId: string; readonly before: number; readonly limit: number },
): Promise<number> {
  return session.execute(deleteReceipts, [meshId, before, limit])
}

export function expireDedupe(
  session: Session,
  { now, rowsMax }: { readonly now: number; readonly rowsMax: number },
): Promise<number> {
  return session.execute(deleteDedupe, [now, rowsMax])
}
