/** The SQL of members as they go, of what waits for those that are gone, and of revocation lists. */
import type { Certificate, RevocationList } from '@claudemesh/protocol'
import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { RevocationChange, Revocations } from '../../departures.ts'
import type { Candidate, FirstSeen, Suspects } from '../../judge-revocation.ts'
import type { MemberKey } from '../../rows.ts'

const markLeft = prepare(`
  UPDATE mesh.member SET status = 'left', draining = true
   WHERE mesh_id = $1 AND member_id = $2 AND status = 'active'`)
const markAway = prepare(`
  UPDATE mesh.member SET status = 'left', draining = true
   WHERE mesh_id = $1 AND member_id = $2 AND status = 'active' AND lease_until <= $3`)
const markRevoked = prepare(`
  UPDATE mesh.member SET status = 'revoked', draining = true
   WHERE mesh_id = $1 AND member_id = ANY($2::text[]) AND status IN ('active', 'left')`)
const markDrained = prepare(`
  UPDATE mesh.member m SET draining = false
   WHERE m.mesh_id = $1 AND m.member_id = ANY($2::text[]) AND m.draining
     AND NOT EXISTS (SELECT 1 FROM mesh.delivery_queue d WHERE d.mesh_id = m.mesh_id AND d.recipient = m.member_id)
     AND NOT EXISTS (SELECT 1 FROM mesh.receipt r WHERE r.mesh_id = m.mesh_id AND r.member_id = m.member_id)`)
const selectDraining = prepare(`
  SELECT d.mesh_id AS "meshId", array_agg(d.member_id) AS "memberIds"
    FROM (SELECT mesh_id, member_id FROM mesh.member WHERE draining ORDER BY mesh_id, member_id LIMIT $1) d
   GROUP BY d.mesh_id ORDER BY d.mesh_id`)
const deleteSubscriptions = prepare(`
  WITH ended AS (DELETE FROM mesh.topic_subscription
                  WHERE mesh_id = $1 AND member_id = ANY($2::text[]) RETURNING topic)
  SELECT DISTINCT topic FROM ended ORDER BY topic`)
// What a member waits for, and what its senders are told of it, go and come in one statement: a queue of thousands is
// one round trip. Its end bounds what is read of the queue, whichever way round the planner joins.
const dropDeliveries = prepare(`
  WITH waiting AS (
    SELECT d.recipient, d.delivery_id, m.status
      FROM mesh.member m CROSS JOIN LATERAL
           (SELECT q.recipient, q.delivery_id FROM mesh.delivery_queue q
             WHERE q.mesh_id = $1 AND q.recipient = m.member_id ORDER BY q.delivery_id LIMIT $3) d
     WHERE m.mesh_id = $1 AND m.member_id = ANY($2::text[]) AND m.draining
     ORDER BY d.recipient, d.delivery_id LIMIT $3),
  dropped AS (
    DELETE FROM mesh.delivery_queue d USING waiting w
     WHERE d.mesh_id = $1 AND d.recipient = w.recipient AND d.delivery_id = w.delivery_id
       AND d.recipient = ANY($2::text[]) AND d.delivery_id <= (SELECT max(delivery_id) FROM waiting)
    RETURNING d.recipient, d.delivery_id, d.broker_message_id, w.status),
  fact AS (
    SELECT d.recipient, d.delivery_id, d.broker_message_id, d.status, m.sender, m.client_message_id,
           row_number() OVER (ORDER BY d.recipient, d.delivery_id) AS place
      FROM dropped d JOIN mesh.topic_message m ON m.id = d.broker_message_id WHERE m.receipts),
  counter AS (
    UPDATE mesh.mesh_counter SET last_delivery_id = last_delivery_id + (SELECT count(*) FROM fact)
     WHERE mesh_id = $1
    RETURNING last_delivery_id - (SELECT count(*) FROM fact) AS base),
  told AS (
    INSERT INTO mesh.receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state,
           reason, at)
    SELECT $1::text, f.sender, c.base + f.place, f.broker_message_id, f.client_message_id, f.recipient, 'undeliverable',
           f.status, $4::bigint
      FROM fact f CROSS JOIN counter c)
  SELECT d.recipient AS "memberId", d.status AS reason, count(*) AS deliveries,
         array_remove(array_agg(DISTINCT f.sender), NULL) AS notified
    FROM dropped d LEFT JOIN fact f USING (recipient, delivery_id)
   GROUP BY d.recipient, d.status ORDER BY d.recipient`)
const dropReceipts = prepare(`
  WITH waiting AS (
    SELECT r.member_id, r.delivery_id, m.status
      FROM mesh.member m CROSS JOIN LATERAL
           (SELECT q.member_id, q.delivery_id FROM mesh.receipt q
             WHERE q.mesh_id = $1 AND q.member_id = m.member_id ORDER BY q.delivery_id LIMIT $3) r
     WHERE m.mesh_id = $1 AND m.member_id = ANY($2::text[]) AND m.draining
     ORDER BY r.member_id, r.delivery_id LIMIT $3),
  dropped AS (
    DELETE FROM mesh.receipt r USING waiting w
     WHERE r.mesh_id = $1 AND r.member_id = w.member_id AND r.delivery_id = w.delivery_id
       AND r.member_id = ANY($2::text[]) AND r.delivery_id <= (SELECT max(delivery_id) FROM waiting)
    RETURNING r.member_id, w.status)
  SELECT member_id AS "memberId", status AS reason, count(*) AS receipts FROM dropped
   GROUP BY member_id, status ORDER BY member_id`)
const selectEndedLeases = prepare(`
  SELECT mesh_id AS "meshId", member_id AS "memberId" FROM mesh.member
   WHERE status = 'active' AND lease_until IS NOT NULL AND lease_until <= $1 ORDER BY lease_until LIMIT $2`)
// Rows are locked in order of their keys, so that two that renew many do not wait for each other.
const renewSome = prepare(`
  WITH mine AS (
    SELECT m.mesh_id, m.member_id
      FROM mesh.member m JOIN unnest($2::text[], $3::text[]) AS k(mesh_id, member_id) USING (mesh_id, member_id)
     WHERE m.status = 'active' AND m.ephemeral_ttl_ms IS NOT NULL
     ORDER BY m.mesh_id, m.member_id FOR NO KEY UPDATE OF m)
  UPDATE mesh.member m SET lease_until = $1::bigint + m.ephemeral_ttl_ms FROM mine
   WHERE m.mesh_id = mine.mesh_id AND m.member_id = mine.member_id`)
const renewAll = prepare(`
  WITH mine AS (
    SELECT mesh_id, member_id FROM mesh.member WHERE status = 'active' AND lease_until IS NOT NULL
     ORDER BY mesh_id, member_id FOR NO KEY UPDATE)
  UPDATE mesh.member m SET lease_until = $1::bigint + m.ephemeral_ttl_ms FROM mine
   WHERE m.mesh_id = mine.mesh_id AND m.member_id = mine.member_id`)
const forgettable = `
  SELECT m.mesh_id, m.member_id FROM mesh.mesh h JOIN mesh.member m ON m.mesh_id = h.id
   WHERE m.status = 'left'
     AND m.lease_until <= $1::bigint - coalesce(h.dedupe_retention_days, $2::integer)::bigint * 86400000
     AND NOT m.draining AND m.epoch = 0
     AND NOT EXISTS (SELECT 1 FROM mesh.client_message_dedupe d
                      WHERE d.mesh_id = m.mesh_id AND d.sender = m.member_id AND d.history_available)`
const selectForgettable = prepare(`
  SELECT DISTINCT f.mesh_id AS "meshId" FROM (${forgettable} LIMIT $3) f ORDER BY f.mesh_id`)
const forget = prepare(`
  WITH forgotten AS (${forgettable} AND m.mesh_id = ANY($4::text[]) LIMIT $3),
  presences AS (DELETE FROM mesh.presence p USING forgotten f
                 WHERE p.mesh_id = f.mesh_id AND p.member_id = f.member_id),
  pasts AS (DELETE FROM mesh.topic_subscription_past p USING forgotten f
             WHERE p.mesh_id = f.mesh_id AND p.member_id = f.member_id),
  consuming AS (DELETE FROM mesh.queue_consumer c USING forgotten f
                 WHERE c.mesh_id = f.mesh_id AND c.member_id = f.member_id AND c.until_history_id IS NOT NULL)
  DELETE FROM mesh.member m USING forgotten f WHERE m.mesh_id = f.mesh_id AND m.member_id = f.member_id`)
const selectList = prepare(`SELECT list, chain FROM mesh.revocation_list WHERE mesh_id = $1`)
const upsertList = prepare(`
  INSERT INTO mesh.revocation_list AS known (mesh_id, number, list, chain, received_at) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (mesh_id) DO UPDATE
     SET number = excluded.number, list = excluded.list, chain = excluded.chain, received_at = excluded.received_at
   WHERE excluded.number > known.number`)
const selectCandidates = prepare(`
  SELECT member_id AS "memberId", chain FROM mesh.member
   WHERE mesh_id = $1 AND status <> 'revoked' AND (member_id = ANY($2::text[]) OR joined_at >= $3)`)
const selectFirstSeen = prepare(`
  SELECT i.member_id AS "memberId",
         least((SELECT m.joined_at FROM mesh.member m WHERE m.mesh_id = $1 AND m.member_id = i.member_id),
               (SELECT min(u.used_at) FROM mesh.invite_use u WHERE u.mesh_id = $1 AND u.member_id = i.member_id)) AS at
    FROM unnest($2::text[]) AS i(member_id)`)

/** @returns 0 when the member is not active; with `leaseEnded` also when its lease is not over at that time */
export function markMemberLeft(
  session: Session,
  key: MemberKey,
  { at, leaseEnded }: { readonly at: number; readonly leaseEnded: boolean },
): Promise<number> {
  if (leaseEnded) return session.execute(markAway, [key.meshId, key.memberId, at])
  return session.execute(markLeft, [key.meshId, key.memberId])
}

/** Members of one mesh. */
export interface Members {
  readonly meshId: string
  readonly memberIds: readonly string[]
}

export function markMembersRevoked(session: Session, { meshId, memberIds }: Members): Promise<number> {
  return session.execute(markRevoked, [meshId, memberIds])
}

/** Those of whom nothing waits any more. */
export function markMembersDrained(session: Session, { meshId, memberIds }: Members): Promise<number> {
  return session.execute(markDrained, [meshId, memberIds])
}

/** Members that are gone and for whom something may wait, by mesh, in order of the meshes' ids. */
export function listDraining(session: Session, membersMax: number): Promise<readonly Members[]> {
  return session.query<Members>(selectDraining, [membersMax])
}

/** @returns the topics */
export async function endSubscriptionsOf(session: Session, { meshId, memberIds }: Members): Promise<readonly string[]> {
  const rows = await session.query<{ topic: string }>(deleteSubscriptions, [meshId, memberIds])
  return rows.map(({ topic }) => topic)
}

type Reason = 'left' | 'revoked'

/** Drops what waits for members that are gone, and leaves a receipt for each sender that wants one. */
export function dropWaitingDeliveries(
  session: Session,
  { meshId, memberIds }: Members,
  { at, rowsMax }: { readonly at: number; readonly rowsMax: number },
): Promise<
  readonly {
    readonly memberId: string
    readonly reason: Reason
    readonly deliveries: number
    readonly notified: readonly string[]
  }[]
> {
  return session.query(dropDeliveries, [meshId, memberIds, rowsMax, at])
}

/** Drops the receipts that wait for members that are gone. */
export function dropWaitingReceipts(
  session: Session,
  { meshId, memberIds }: Members,
  rowsMax: number,
): Promise<readonly { readonly memberId: string; readonly reason: Reason; readonly receipts: number }[]> {
  return session.query(dropReceipts, [meshId, memberIds, rowsMax])
}

export function listEndedLeases(
  session: Session,
  { now, limit }: { readonly now: number; readonly limit: number },
): Promise<readonly MemberKey[]> {
  return session.query<MemberKey>(selectEndedLeases, [now, limit])
}

export async function renewLeases(session: Session, members: readonly MemberKey[] | null, at: number): Promise<void> {
  if (members === null) {
    await session.execute(renewAll, [at])
    return
  }
  const meshIds = members.map(({ meshId }) => meshId)
  await session.execute(renewSome, [at, meshIds, members.map(({ memberId }) => memberId)])
}

interface ForgetOptions {
  readonly now: number
  readonly dedupeRetentionDays: number
  readonly rowsMax: number
}

/** Meshes with members that have no way back. */
export async function listMeshesToForgetIn(session: Session, options: ForgetOptions): Promise<readonly string[]> {
  const values = [options.now, options.dedupeRetentionDays, options.rowsMax]
  const rows = await session.query<{ meshId: string }>(selectForgettable, values)
  return rows.map(({ meshId }) => meshId)
}

/** With their presence, their profiles, and what they were subscribed to and consumed. */
export function deleteForgettable(
  session: Session,
  options: ForgetOptions,
  meshIds: readonly string[],
): Promise<number> {
  return session.execute(forget, [options.now, options.dedupeRetentionDays, options.rowsMax, meshIds])
}

export async function findRevocations(session: Session, meshId: string): Promise<Revocations | null> {
  const [row] = await session.query<{ list: string; chain: string }>(selectList, [meshId])
  if (row === undefined) return null
  return { list: JSON.parse(row.list) as RevocationList, chain: JSON.parse(row.chain) as readonly Certificate[] }
}

/** @returns 0 when the list in force has as high a number */
export function saveRevocations(session: Session, { list, chain, at }: RevocationChange): Promise<number> {
  return session.execute(upsertList, [list.mesh_id, list.number, JSON.stringify(list), JSON.stringify(chain), at])
}

/** Members that a new list has to be asked about and that are not revoked. */
export async function listCandidates(
  session: Session,
  meshId: string,
  suspects: Suspects,
): Promise<readonly Candidate[]> {
  if (suspects.joinedSince === null) return []
  const values = [meshId, suspects.ids, suspects.joinedSince]
  const rows = await session.query<{ memberId: string; chain: string }>(selectCandidates, values)
  return rows.map((row) => ({ ...row, chain: JSON.parse(row.chain) as readonly Certificate[] }))
}

export async function findFirstSeen(
  session: Session,
  meshId: string,
  memberIds: readonly string[],
): Promise<FirstSeen> {
  const rows = await session.query<{ memberId: string; at: number | null }>(selectFirstSeen, [meshId, memberIds])
  const times = new Map(rows.map(({ memberId, at }) => [memberId, at]))
  return (memberId) => times.get(memberId) ?? null
}
