import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { MemberKey } from '../../../rows.ts'
import type { ReadMark } from '../../../store.ts'

const insertReads = prepare(`
  WITH addressed AS MATERIALIZED (
    SELECT DISTINCT ON (m.id) m.id, m.sender, m.client_message_id, m.accepted_at, r.at
      FROM unnest($3::text[], $4::bigint[]) WITH ORDINALITY AS r (id, at, position) CROSS JOIN LATERAL
           (SELECT * FROM mesh.topic_message t WHERE t.id = r.id AND t.mesh_id = $1 AND t.receipts OFFSET 0) m
     WHERE m.destination_kind = 'dm' AND m.destination_ref = $2
        OR m.destination_kind = 'topic' AND m.sender <> $2 AND EXISTS
             (SELECT 1 FROM mesh.topic_subscription s
               WHERE s.mesh_id = m.mesh_id AND s.topic = m.destination_ref AND s.member_id = $2
                 AND s.since_history_id < m.history_id
               UNION ALL
              SELECT 1 FROM mesh.topic_subscription_past p
               WHERE p.mesh_id = m.mesh_id AND p.member_id = $2 AND p.topic = m.destination_ref
                 AND p.since_history_id < m.history_id AND p.until_history_id >= m.history_id)
     ORDER BY m.id, r.position
  ), first_read AS (
    INSERT INTO mesh.message_read (broker_message_id, member_id) SELECT a.id, $2 FROM addressed a
    ON CONFLICT DO NOTHING RETURNING broker_message_id
  ), owed AS MATERIALIZED (
    SELECT a.*, row_number() OVER (ORDER BY a.id) AS number
      FROM addressed a JOIN first_read f ON f.broker_message_id = a.id
  ), counter AS (
    UPDATE mesh.mesh_counter c SET last_delivery_id = c.last_delivery_id + given.receipts
      FROM (SELECT count(*) AS receipts FROM owed) given
     WHERE c.mesh_id = $1 AND given.receipts > 0
    RETURNING c.last_delivery_id - given.receipts AS base
  )
  INSERT INTO mesh.receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state, at)
  SELECT $1, o.sender, c.base + o.number, o.id, o.client_message_id, $2, 'read',
         least($5::bigint, greatest(o.accepted_at, o.at))
    FROM owed o CROSS JOIN counter c
  RETURNING member_id AS sender`)

/**
 * Keeps what a member has read for the first time of what was addressed to it, with a receipt for each.
 *
 * @returns the senders, one for each receipt
 */
export async function insertReadMarks(
  session: Session,
  member: MemberKey,
  reported: { readonly marks: readonly ReadMark[]; readonly now: number },
): Promise<readonly string[]> {
  const rows = await session.query<{ sender: string }>(insertReads, [
    member.meshId,
    member.memberId,
    reported.marks.map((mark) => mark.brokerMessageId),
    reported.marks.map((mark) => mark.at),
    reported.now,
  ])
  return rows.map((row) => row.sender)
}
