import type { Certificate, RevocationList } from '@claudemesh/protocol'
import type { Database } from '@claudemesh/storage'
import type { RevocationChange, Revocations } from '../../departures.ts'
import type { Candidate } from '../../judge-revocation.ts'
import type { MemberKey } from '../../rows.ts'

interface CandidateRow {
  readonly memberId: string
  readonly chain: string
}

export type DepartureStatements = ReturnType<typeof prepareDepartures>

/** Members as they go, and what waits for those that are gone. */
export function prepareDepartures(db: Database) {
  const markLeft = db.prepare<[string, string]>(`
    UPDATE member SET status = 'left', draining = 1 WHERE mesh_id = ? AND member_id = ? AND status = 'active'`)
  const markAway = db.prepare<[string, string, number]>(`
    UPDATE member SET status = 'left', draining = 1
     WHERE mesh_id = ? AND member_id = ? AND status = 'active' AND lease_until <= ?`)
  const markRevoked = db.prepare<[string, string]>(`
    UPDATE member SET status = 'revoked', draining = 1
     WHERE mesh_id = ? AND member_id = ? AND status IN ('active', 'left')`)
  const markDrained = db.prepare<[string, string]>(`
    UPDATE member SET draining = 0 WHERE mesh_id = ? AND member_id = ? AND draining = 1`)
  const selectDraining = db.prepare<[number], MemberKey & { status: 'left' | 'revoked' }>(`
    SELECT mesh_id AS meshId, member_id AS memberId, status FROM member WHERE draining = 1 LIMIT +?`)
  const deleteSubscriptions = db.prepare<[string, string], { topic: string }>(`
    DELETE FROM topic_subscription INDEXED BY topic_subscription_by_member WHERE mesh_id = ? AND member_id = ?
    RETURNING topic`)
  const selectWaiting = db.prepare<[string, string, number], { deliveryId: number }>(`
    SELECT delivery_id AS deliveryId FROM delivery_queue WHERE mesh_id = ? AND recipient = ?
     ORDER BY delivery_id LIMIT +?`)
  const deleteReceipts = db.prepare<[string, string, number]>(`
    DELETE FROM receipt WHERE (mesh_id, member_id, delivery_id) IN
           (SELECT mesh_id, member_id, delivery_id FROM receipt WHERE mesh_id = ? AND member_id = ?
             ORDER BY delivery_id LIMIT +?)`)
  const selectEndedLeases = db.prepare<[number, number], MemberKey>(`
    SELECT mesh_id AS meshId, member_id AS memberId FROM member
     WHERE status = 'active' AND lease_until IS NOT NULL AND lease_until <= ? ORDER BY lease_until LIMIT +?`)
  const renewLease = db.prepare<[number, string, string]>(`
    UPDATE member SET lease_until = ? + ephemeral_ttl_ms
     WHERE mesh_id = ? AND member_id = ? AND status = 'active' AND ephemeral_ttl_ms IS NOT NULL`)
  const renewLeases = db.prepare<[number]>(`
    UPDATE member SET lease_until = ? + ephemeral_ttl_ms WHERE status = 'active' AND lease_until IS NOT NULL`)

  const selectForgettable = db.prepare<{ now: number; days: number; limit: number }, MemberKey>(`
    SELECT m.mesh_id AS meshId, m.member_id AS memberId FROM mesh h CROSS JOIN member m ON m.mesh_id = h.id
     WHERE m.status = 'left' AND m.lease_until <= @now - coalesce(h.dedupe_retention_days, @days) * 86400000
       AND m.draining = 0 AND m.epoch = 0
       AND NOT EXISTS (SELECT 1 FROM client_message_dedupe d
                        WHERE d.mesh_id = m.mesh_id AND d.sender = m.member_id AND d.history_available = 1)
     LIMIT +@limit`)
  const deletePresence = db.prepare<[string, string]>(`DELETE FROM presence WHERE mesh_id = ? AND member_id = ?`)
  const deletePast = db.prepare<[string, string]>(`
    DELETE FROM topic_subscription_past WHERE mesh_id = ? AND member_id = ?`)
  const deleteConsuming = db.prepare<[string, string]>(`
    DELETE FROM queue_consumer INDEXED BY queue_consumer_by_member
     WHERE mesh_id = ? AND member_id = ? AND until_history_id IS NOT NULL`)
  const deleteMember = db.prepare<[string, string]>(`
    DELETE FROM member WHERE mesh_id = ? AND member_id = ? AND status = 'left'`)

  return {
    markLeft: (key: MemberKey): number => markLeft.run(key.meshId, key.memberId).changes,
    /** As `markLeft`, if the lease was over at that time. */
    markAway: (key: MemberKey, at: number): number => markAway.run(key.meshId, key.memberId, at).changes,
    markRevoked: (key: MemberKey): number => markRevoked.run(key.meshId, key.memberId).changes,
    markDrained: (key: MemberKey): number => markDrained.run(key.meshId, key.memberId).changes,
    listDraining: (limit: number) => selectDraining.all(limit),
    /** @returns the topics */
    deleteSubscriptions: (key: MemberKey): readonly string[] =>
      deleteSubscriptions.all(key.meshId, key.memberId).map((row) => row.topic),
    listWaiting: (key: MemberKey, limit: number): readonly number[] =>
      selectWaiting.all(key.meshId, key.memberId, limit).map((row) => row.deliveryId),
    deleteReceipts: (key: MemberKey, limit: number): number =>
      deleteReceipts.run(key.meshId, key.memberId, limit).changes,
    listEndedLeases: (options: { now: number; limit: number }): readonly MemberKey[] =>
      selectEndedLeases.all(options.now, options.limit),
    renewLease: (key: MemberKey, at: number): number => renewLease.run(at, key.meshId, key.memberId).changes,
    renewLeases: (at: number): number => renewLeases.run(at).changes,
    listForgettable: (options: { now: number; days: number; limit: number }): readonly MemberKey[] =>
      selectForgettable.all(options),
    /** With its presence, its profile, and what it was subscribed to and consumed. */
    deleteMember(key: MemberKey): number {
      deletePresence.run(key.meshId, key.memberId)
      deletePast.run(key.meshId, key.memberId)
      deleteConsuming.run(key.meshId, key.memberId)
      return deleteMember.run(key.meshId, key.memberId).changes
    },
  }
}

export type RevocationStatements = ReturnType<typeof prepareRevocations>

export function prepareRevocations(db: Database) {
  const selectList = db.prepare<[string], { list: string; chain: string }>(`
    SELECT list, chain FROM revocation_list WHERE mesh_id = ?`)
  const upsertList = db.prepare<[string, number, string, string, number]>(`
    INSERT INTO revocation_list (mesh_id, number, list, chain, received_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (mesh_id) DO UPDATE
       SET number = excluded.number, list = excluded.list, chain = excluded.chain, received_at = excluded.received_at
     WHERE excluded.number > revocation_list.number`)
  const selectJoinedSince = db.prepare<[string, number], CandidateRow>(`
    SELECT member_id AS memberId, chain FROM member WHERE mesh_id = ? AND joined_at >= ? AND status <> 'revoked'`)
  const selectMember = db.prepare<[string, string], CandidateRow>(`
    SELECT member_id AS memberId, chain FROM member WHERE mesh_id = ? AND member_id = ? AND status <> 'revoked'`)
  const selectFirstSeen = db.prepare<{ meshId: string; memberId: string }, { at: number | null }>(`
    SELECT min(at) AS at
      FROM (SELECT joined_at AS at FROM member WHERE mesh_id = @meshId AND member_id = @memberId
             UNION ALL
            SELECT used_at FROM invite_use INDEXED BY invite_use_by_member
             WHERE mesh_id = @meshId AND member_id = @memberId)`)

  return {
    findRevocations(meshId: string): Revocations | null {
      const row = selectList.get(meshId)
      if (row === undefined) return null
      return { list: JSON.parse(row.list) as RevocationList, chain: JSON.parse(row.chain) as readonly Certificate[] }
    },
    /** @returns 0 when the list in force has as high a number */
    saveRevocations: ({ list, chain, at }: RevocationChange): number =>
      upsertList.run(list.mesh_id, list.number, JSON.stringify(list), JSON.stringify(chain), at).changes,
    /** Members that are not revoked and that were first let in then or later. */
    joinedSince: (meshId: string, at: number): readonly Candidate[] =>
      selectJoinedSince.all(meshId, at).map(toCandidate),
    findCandidate(key: MemberKey): Candidate | null {
      const row = selectMember.get(key.meshId, key.memberId)
      return row === undefined ? null : toCandidate(row)
    },
    /** When a member was first let in, or first stood in the chain of one that was; null: never. */
    firstSeenAt: (key: MemberKey): number | null => selectFirstSeen.get(key)?.at ?? null,
  }
}

function toCandidate(row: CandidateRow): Candidate {
  return { memberId: row.memberId, chain: JSON.parse(row.chain) as readonly Certificate[] }
}
