/** The SQL of nodes, seats and presence. */

import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { MemberKey } from '../../rows.ts'
import type { EndedSeat, SeatEnding, SeatKey, SeatRequest } from '../../seats.ts'

const clock = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

const insertNode = prepare(`
  WITH others AS (
    SELECT EXISTS (SELECT 1 FROM mesh.broker_node WHERE NOT ended AND heartbeat_at > ${clock} - $2::bigint) AS alive
  ), begun AS (
    INSERT INTO mesh.broker_node (node_id, started_at, heartbeat_at) VALUES ($1, ${clock}, ${clock})
  )
  SELECT NOT alive AS alone FROM others`)
const updateHeartbeat = prepare(`
  UPDATE mesh.broker_node SET heartbeat_at = ${clock} WHERE node_id = $1 AND NOT ended`)
const endOne = prepare('UPDATE mesh.broker_node SET ended = true WHERE node_id = $1 AND NOT ended')
const endSilent = prepare(`
  UPDATE mesh.broker_node SET ended = true WHERE node_id IN (
    SELECT node_id FROM mesh.broker_node WHERE NOT ended AND heartbeat_at <= ${clock} - $1::bigint
     ORDER BY node_id FOR UPDATE SKIP LOCKED)`)
const deleteEnded = prepare(`
  DELETE FROM mesh.broker_node n
   WHERE n.ended AND NOT EXISTS (SELECT 1 FROM mesh.seat s WHERE s.node_id = n.node_id)`)
/** Until the commit it is not given up. */
const holdNode = prepare('SELECT 1 FROM mesh.broker_node WHERE node_id = $1 AND NOT ended FOR KEY SHARE')

export async function beginNode(
  session: Session,
  node: { readonly nodeId: string; readonly deadAfterMs: number },
): Promise<{ readonly alone: boolean }> {
  const [row] = await session.query<{ alone: boolean }>(insertNode, [node.nodeId, node.deadAfterMs])
  return { alone: row?.alone === true }
}

export async function beat(session: Session, nodeId: string): Promise<boolean> {
  return (await session.execute(updateHeartbeat, [nodeId])) > 0
}

export async function endNode(session: Session, nodeId: string): Promise<void> {
  await session.execute(endOne, [nodeId])
}

export async function endSilentNodes(session: Session, deadAfterMs: number): Promise<void> {
  await session.execute(endSilent, [deadAfterMs])
}

export async function deleteEndedNodes(session: Session): Promise<void> {
  await session.execute(deleteEnded)
}

/** @returns false when it was given up */
export async function keepNode(session: Session, nodeId: string): Promise<boolean> {
  return (await session.query(holdNode, [nodeId])).length > 0
}

const lockMembersOf = prepare(`
  SELECT m.member_id FROM mesh.member m
   WHERE (m.mesh_id, m.member_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
   ORDER BY m.mesh_id, m.member_id FOR NO KEY UPDATE`)

/** Whoever decides about the seats of a member takes this first: what it then sees stays so until its commit. */
export async function lockMembers(session: Session, members: readonly MemberKey[]): Promise<void> {
  await session.query(lockMembersOf, columnsOf(members))
}

const selectOf = prepare(`
  SELECT mesh_id AS "meshId", member_id AS "memberId", connection_id AS "connectionId", instance_id AS "instanceId"
    FROM mesh.seat WHERE mesh_id = $1 AND member_id = $2 AND ending IS NULL ORDER BY connection_id`)
const insertSeat = prepare(`
  INSERT INTO mesh.seat (connection_id, mesh_id, member_id, node_id, instance_id, since) VALUES ($1, $2, $3, $4, $5, $6)`)
const endByConnection = prepare(`
  UPDATE mesh.seat s SET ending = e.ending
    FROM unnest($1::text[], $2::text[]) AS e (connection_id, ending) WHERE s.connection_id = e.connection_id`)
const endByMember = prepare(`
  UPDATE mesh.seat SET ending = $3 WHERE mesh_id = $1 AND member_id = ANY($2::text[]) AND ending IS NULL`)
const markOpen = prepare('UPDATE mesh.seat SET open = true WHERE connection_id = $1 AND ending IS NULL')
const deleteSeats = prepare('DELETE FROM mesh.seat WHERE connection_id = ANY($1::text[])')

export function listSeatsOf(
  session: Session,
  member: MemberKey,
): Promise<readonly (SeatKey & { readonly instanceId: string })[]> {
  return session.query(selectOf, [member.meshId, member.memberId])
}

export async function addSeat(session: Session, seat: SeatRequest): Promise<void> {
  const { connectionId, meshId, memberId, nodeId, instanceId, now } = seat
  await session.execute(insertSeat, [connectionId, meshId, memberId, nodeId, instanceId, now])
}

export async function endSeats(session: Session, seats: readonly EndedSeat[]): Promise<void> {
  await session.execute(endByConnection, [
    seats.map(({ connectionId }) => connectionId),
    seats.map(({ ending }) => ending),
  ])
}

/** All that these members have. */
export async function endSeatsOf(
  session: Session,
  gone: { readonly meshId: string; readonly memberIds: readonly string[] },
  ending: SeatEnding,
): Promise<void> {
  await session.execute(endByMember, [gone.meshId, gone.memberIds, ending])
}

/** @returns false when the seat was lost meanwhile */
export async function openSeat(session: Session, connectionId: string): Promise<boolean> {
  return (await session.execute(markOpen, [connectionId])) > 0
}

export async function removeSeats(session: Session, seats: readonly SeatKey[]): Promise<void> {
  await session.execute(deleteSeats, [seats.map(({ connectionId }) => connectionId)])
}

const selectEnded = prepare(`
  SELECT mesh_id AS "meshId", member_id AS "memberId", connection_id AS "connectionId", ending
    FROM mesh.seat WHERE node_id = $1 AND ending IS NOT NULL`)
const selectWaiting = prepare(`
  SELECT s.mesh_id AS "meshId", s.member_id AS "memberId"
    FROM (SELECT DISTINCT mesh_id, member_id FROM mesh.seat WHERE node_id = $1 AND open AND ending IS NULL) s
   WHERE EXISTS (SELECT 1 FROM mesh.delivery_queue d
                  WHERE d.mesh_id = s.mesh_id AND d.recipient = s.member_id
                    AND (d.claimed_until IS NULL OR d.claimed_until <= $2))
      OR EXISTS (SELECT 1 FROM mesh.receipt r
                  WHERE r.mesh_id = s.mesh_id AND r.member_id = s.member_id
                    AND (r.claimed_until IS NULL OR r.claimed_until <= $2))`)
const selectSeated = prepare(`
  SELECT m.mesh_id AS "meshId", m.member_id AS "memberId" FROM unnest($1::text[], $2::text[]) AS m (mesh_id, member_id)
   WHERE EXISTS (SELECT 1 FROM mesh.seat s
                  WHERE s.mesh_id = m.mesh_id AND s.member_id = m.member_id AND s.ending IS NULL)`)
const selectFreed = prepare(`
  SELECT s.mesh_id AS "meshId", s.member_id AS "memberId", s.connection_id AS "connectionId"
    FROM mesh.broker_node n JOIN mesh.seat s ON s.node_id = n.node_id
   WHERE n.ended ORDER BY s.mesh_id, s.member_id LIMIT $1`)

export function listEnded(session: Session, nodeId: string): Promise<readonly EndedSeat[]> {
  return session.query(selectEnded, [nodeId])
}

export function listWaiting(session: Session, nodeId: string, now: number): Promise<readonly MemberKey[]> {
  return session.query(selectWaiting, [nodeId, now])
}

export function listSeated(session: Session, members: readonly MemberKey[]): Promise<readonly MemberKey[]> {
  return session.query(selectSeated, columnsOf(members))
}

/** Seats of nodes that are over. */
export function listFreed(session: Session, limit: number): Promise<readonly SeatKey[]> {
  return session.query(selectFreed, [limit])
}

const selectOnline = prepare(`
  SELECT online FROM mesh.presence WHERE mesh_id = $1 AND member_id = $2 FOR UPDATE`)
const markPresent = prepare(`
  INSERT INTO mesh.presence (mesh_id, member_id, online, last_seen_at) VALUES ($1, $2, true, $3)
  ON CONFLICT (mesh_id, member_id) DO UPDATE SET online = true, last_seen_at = excluded.last_seen_at, absent_since = NULL`)
const markReturned = prepare(`
  UPDATE mesh.presence SET absent_since = NULL WHERE mesh_id = $1 AND member_id = $2 AND absent_since IS NOT NULL`)
const markAbsent = prepare(`
  UPDATE mesh.presence p SET absent_since = $3
    FROM unnest($1::text[], $2::text[]) AS m (mesh_id, member_id)
   WHERE p.mesh_id = m.mesh_id AND p.member_id = m.member_id AND p.online AND p.absent_since IS NULL
     AND NOT EXISTS (SELECT 1 FROM mesh.seat s WHERE s.mesh_id = p.mesh_id AND s.member_id = p.member_id
                        AND s.open AND s.ending IS NULL)`)
const endAbsent = prepare(`
  WITH away AS (
    SELECT mesh_id, member_id FROM mesh.presence WHERE online AND absent_since <= $1
     ORDER BY absent_since LIMIT $2 FOR UPDATE SKIP LOCKED)
  UPDATE mesh.presence p SET online = false, last_seen_at = p.absent_since, absent_since = NULL
    FROM away a WHERE p.mesh_id = a.mesh_id AND p.member_id = a.member_id
  RETURNING p.mesh_id AS "meshId", p.member_id AS "memberId", p.last_seen_at AS at`)

/** @returns whether it was not there before */
export async function arrive(session: Session, member: MemberKey, now: number): Promise<boolean> {
  const [known] = await session.query<{ online: boolean }>(selectOnline, [member.meshId, member.memberId])
  if (known?.online === true) {
    await session.execute(markReturned, [member.meshId, member.memberId])
    return false
  }
  await session.execute(markPresent, [member.meshId, member.memberId, now])
  return true
}

/** Those of the members that have no open seat are absent from now on. */
export async function beginAbsences(session: Session, members: readonly MemberKey[], now: number): Promise<void> {
  await session.execute(markAbsent, [...columnsOf(members), now])
}

export function endAbsences(
  session: Session,
  options: { readonly now: number; readonly graceMs: number; readonly rowsMax: number },
): Promise<readonly (MemberKey & { readonly at: number })[]> {
  return session.query(endAbsent, [options.now - options.graceMs, options.rowsMax])
}

/** A connection claims the first deliveries of its member, so that its claims stand among the first rows. */
const freeDeliveries = prepare(`
  WITH held AS MATERIALIZED (
    SELECT h.* FROM unnest($1::text[], $2::text[], $3::text[]) AS f (mesh_id, member_id, connection_id) CROSS JOIN LATERAL
           (SELECT d.mesh_id, d.recipient, d.delivery_id, d.claimed_by FROM mesh.delivery_queue d
             WHERE d.mesh_id = f.mesh_id AND d.recipient = f.member_id ORDER BY d.delivery_id LIMIT $4) h
     WHERE h.claimed_by = f.connection_id OR f.connection_id = '' AND h.claimed_by IS NOT NULL)
  UPDATE mesh.delivery_queue d SET claimed_by = NULL, claimed_until = NULL FROM held h
   WHERE d.mesh_id = h.mesh_id AND d.recipient = h.recipient AND d.delivery_id = h.delivery_id
     AND d.claimed_by = h.claimed_by`)
const freeReceipts = prepare(`
  WITH held AS MATERIALIZED (
    SELECT h.* FROM unnest($1::text[], $2::text[], $3::text[]) AS f (mesh_id, member_id, connection_id) CROSS JOIN LATERAL
           (SELECT r.mesh_id, r.member_id, r.delivery_id, r.claimed_by FROM mesh.receipt r
             WHERE r.mesh_id = f.mesh_id AND r.member_id = f.member_id ORDER BY r.delivery_id LIMIT $4) h
     WHERE h.claimed_by = f.connection_id OR f.connection_id = '' AND h.claimed_by IS NOT NULL)
  UPDATE mesh.receipt r SET claimed_by = NULL, claimed_until = NULL FROM held h
   WHERE r.mesh_id = h.mesh_id AND r.member_id = h.member_id AND r.delivery_id = h.delivery_id
     AND r.claimed_by = h.claimed_by`)

/** Gives back what connections (an empty id: whichever of the member) have claimed, as far as it stands among so many first rows; the rest ends with its time. */
export async function freeClaims(
  session: Session,
  held: { readonly seats: readonly SeatKey[]; readonly rowsMax: number },
): Promise<void> {
  const values = [...columnsOf(held.seats), held.seats.map(({ connectionId }) => connectionId), held.rowsMax]
  await session.execute(freeDeliveries, values)
  await session.execute(freeReceipts, values)
}

function columnsOf(members: readonly MemberKey[]): readonly [readonly string[], readonly string[]] {
  return [members.map(({ meshId }) => meshId), members.map(({ memberId }) => memberId)]
}
