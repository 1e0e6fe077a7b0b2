import type { Certificate } from '@claudemesh/protocol'
import type { Database } from '@claudemesh/storage'
import type { Credentials } from '../../judge-admission.ts'
import type { MemberStatus } from '../../member-states.ts'
import type { Member, MemberKey, Mesh, Topic } from '../../rows.ts'
import type { Admission, Page } from '../../store.ts'

interface MemberRow {
  readonly memberId: string
  readonly chain: string
  readonly status: MemberStatus
  readonly online: number | null
  readonly lastSeenAt: number | null
  readonly summary: string | null
  readonly activity: string | null
  readonly visible: number | null
}

interface TopicRow {
  readonly name: string
  readonly createdAt: number
  readonly subscribers: number
  readonly subscribed: number
}

const memberColumns = `
  m.member_id AS memberId, m.chain, m.status, p.online, p.last_seen_at AS lastSeenAt, p.summary, p.activity, p.visible`

const topicColumns = `
  t.name, t.created_at AS createdAt,
  (SELECT count(*) FROM topic_subscription s WHERE s.mesh_id = t.mesh_id AND s.topic = t.name) AS subscribers,
  EXISTS (SELECT 1 FROM topic_subscription s
           WHERE s.mesh_id = t.mesh_id AND s.topic = t.name AND s.member_id = @memberId) AS subscribed`

const meshColumns = `
  id AS meshId, slug, root_key AS rootKey, dedupe_mode AS dedupeMode, dedupe_retention_days AS dedupeRetentionDays,
  message_retention_days AS messageRetentionDays, clone_concurrency_policy AS concurrencyPolicy,
  blob_quota_bytes AS blobQuotaBytes`

function toMember(row: MemberRow): Member {
  const chain = JSON.parse(row.chain) as readonly Certificate[]
  return { ...row, chain, online: row.online === 1, visible: row.visible !== 0 }
}

function toTopic(row: TopicRow): Topic {
  return { ...row, subscribed: row.subscribed === 1 }
}

function leaseOf({ at, ephemeralTtlMs }: Admission): number | null {
  return ephemeralTtlMs === null ? null : at + ephemeralTtlMs
}

export type AdmissionStatements = ReturnType<typeof prepareAdmission>

/** Meshes, members as they are let in, invites. */
export function prepareAdmission(db: Database) {
  const selectMesh = db.prepare<[string], Mesh>(`SELECT ${meshColumns} FROM mesh WHERE id = ?`)
  const selectMeshesWithSettings = db.prepare<[], Mesh>(`
    SELECT ${meshColumns} FROM mesh
     WHERE coalesce(dedupe_mode, dedupe_retention_days, message_retention_days, clone_concurrency_policy,
                    blob_quota_bytes) IS NOT NULL
     ORDER BY id`)
  const insertMesh = db.prepare(`INSERT INTO mesh (id, slug, root_key, record, registered_at) VALUES (?, ?, ?, ?, ?)`)
  const insertCounter = db.prepare<[string]>(`INSERT INTO mesh_counter (mesh_id) VALUES (?)`)
  const selectCredentials = db.prepare<[string, string], Credentials>(`
    SELECT epoch, signing_key AS signingKey, chain, status, host_fingerprint AS hostFingerprint,
           ephemeral_ttl_ms AS ephemeralTtlMs
      FROM member WHERE mesh_id = ? AND member_id = ?`)
  const insertMember = db.prepare(`
    INSERT INTO member (mesh_id, member_id, name, role, epoch, signing_key, box_key, chain, host_fingerprint,
           joined_at, ephemeral_ttl_ms, lease_until, status)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'active')`)
  const updateMember = db.prepare(`
    UPDATE member SET name = ?, role = ?, epoch = ?, signing_key = ?, box_key = ?, chain = ?, host_fingerprint = ?,
           ephemeral_ttl_ms = ?, lease_until = ?
     WHERE mesh_id = ? AND member_id = ? AND status = 'active'`)
  const bringBack = db.prepare<[string, string]>(`
    UPDATE member SET status = 'active', draining = 0 WHERE mesh_id = ? AND member_id = ? AND status = 'left'`)
  const countUses = db.prepare<[string, string, string], { used: number; mine: number }>(`
    SELECT count(*) AS used, coalesce(sum(member_id = ?), 0) AS mine
      FROM invite_use WHERE mesh_id = ? AND invite_id = ?`)
  const insertInvite = db.prepare<[string, string, number, number]>(`
    INSERT INTO invite (mesh_id, invite_id, uses, not_after) VALUES (?, ?, ?, ?)
    ON CONFLICT (mesh_id, invite_id) DO NOTHING`)
  const insertUse = db.prepare<[string, string, string, number]>(`
    INSERT INTO invite_use (mesh_id, invite_id, member_id, used_at) VALUES (?, ?, ?, ?)`)
  const insertAudit = db.prepare<[string, number, string, string, string]>(`
    INSERT INTO audit_log (mesh_id, at, actor, action, detail) VALUES (?, ?, ?, ?, ?)`)

  return {
    findMesh: (meshId: string) => selectMesh.get(meshId),
    listMeshesWithSettings: (): readonly Mesh[] => selectMeshesWithSettings.all(),
    insertMesh({ mesh, at }: Admission): void {
      insertMesh.run(mesh.mesh_id, mesh.slug, mesh.root_key, JSON.stringify(mesh), at)
      insertCounter.run(mesh.mesh_id)
    },
    findCredentials: (key: MemberKey) => selectCredentials.get(key.meshId, key.memberId),
    insertMember: (a: Admission): void =>
      void insertMember.run(
        a.mesh.mesh_id,
        a.memberId,
        a.name,
        a.role,
        a.epoch,
        a.signingKey,
        a.boxKey,
        JSON.stringify(a.chain),
        a.hostFingerprint,
        a.at,
        a.ephemeralTtlMs,
        leaseOf(a),
      ),
    updateMember: (a: Admission): number =>
      updateMember.run(
        a.name,
        a.role,
        a.epoch,
        a.signingKey,
        a.boxKey,
        JSON.stringify(a.chain),
        a.hostFingerprint,
        a.ephemeralTtlMs,
        leaseOf(a),
        a.mesh.mesh_id,
        a.memberId,
      ).changes,
    /** What still waits for a member that left is delivered to it after all. */
    bringBack: (key: MemberKey): number => bringBack.run(key.meshId, key.memberId).changes,
    /** How many members an invite has admitted, and whether one of them is this one. */
    countUses(use: MemberKey & { inviteId: string }): { used: number; mine: boolean } {
      const row = countUses.get(use.memberId, use.meshId, use.inviteId)
      return row === undefined ? { used: 0, mine: false } : { used: row.used, mine: row.mine > 0 }
    },
    insertUse(use: MemberKey & { inviteId: string; uses: number; notAfter: number; at: number }): void {
      insertInvite.run(use.meshId, use.inviteId, use.uses, use.notAfter)
      insertUse.run(use.meshId, use.inviteId, use.memberId, use.at)
    },
    audit: (entry: {
      meshId: string
      at: number
      actor: string
      action: string
      detail: Record<string, unknown>
    }): void => void insertAudit.run(entry.meshId, entry.at, entry.actor, entry.action, JSON.stringify(entry.detail)),
  }
}

export type DirectoryStatements = ReturnType<typeof prepareDirectory>

/** Members, topics and presence as they are asked for. */
export function prepareDirectory(db: Database) {
  const pageMembers = db.prepare<[string, string, number], MemberRow>(`
    SELECT ${memberColumns} FROM member m LEFT JOIN presence p USING (mesh_id, member_id)
     WHERE m.mesh_id = ? AND m.member_id > ?
       AND (m.status <> 'left' OR EXISTS (SELECT 1 FROM client_message_dedupe d
             WHERE d.mesh_id = m.mesh_id AND d.sender = m.member_id AND d.history_available = 1))
     ORDER BY m.member_id LIMIT +?`)
  const selectMember = db.prepare<[string, string], MemberRow>(`
    SELECT ${memberColumns} FROM member m LEFT JOIN presence p USING (mesh_id, member_id)
     WHERE m.mesh_id = ? AND m.member_id = ?`)
  const pageTopics = db.prepare<{ meshId: string; memberId: string; after: string; limit: number }, TopicRow>(`
    SELECT ${topicColumns} FROM topic t WHERE t.mesh_id = @meshId AND t.name > @after ORDER BY t.name LIMIT +@limit`)
  const selectTopic = db.prepare<{ meshId: string; memberId: string; topic: string }, TopicRow>(`
    SELECT ${topicColumns} FROM topic t WHERE t.mesh_id = @meshId AND t.name = @topic`)
  const selectStatus = db.prepare<[string, string], { status: MemberStatus }>(`
    SELECT status FROM member WHERE mesh_id = ? AND member_id = ?`)
  const countSubscribers = db.prepare<[string, string], { subscribers: number }>(`
    SELECT count(*) AS subscribers FROM topic_subscription WHERE mesh_id = ? AND topic = ?`)
  const selectEpoch = db.prepare<[string, string], { recipientsEpoch: number }>(`
    SELECT recipients_epoch AS recipientsEpoch FROM topic WHERE mesh_id = ? AND name = ?`)
  const selectRecipients = db.prepare<[string, string, string, number], { memberId: string }>(`
    SELECT member_id AS memberId FROM topic_subscription WHERE mesh_id = ? AND topic = ? AND member_id <> ?
     ORDER BY member_id LIMIT +?`)
  const insertTopic = db.prepare<[string, string, string, number]>(`
    INSERT INTO topic (mesh_id, name, created_by, created_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (mesh_id, name) DO NOTHING`)
  const insertSubscription = db.prepare<[string, string, string, number, number]>(`
    INSERT INTO topic_subscription (mesh_id, topic, member_id, since_history_id, subscribed_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (mesh_id, topic, member_id) DO NOTHING`)
  const deleteSubscription = db.prepare<[string, string, string]>(`
    DELETE FROM topic_subscription WHERE mesh_id = ? AND topic = ? AND member_id = ?`)
  const bumpEpoch = db.prepare<[string, string]>(`
    UPDATE topic SET recipients_epoch = recipients_epoch + 1 WHERE mesh_id = ? AND name = ?`)
  const upsertProfile = db.prepare(`
    INSERT INTO presence (mesh_id, member_id, summary, activity, visible) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (mesh_id, member_id) DO UPDATE
       SET summary = excluded.summary, activity = excluded.activity, visible = excluded.visible`)
  const upsertPresence = db.prepare<[string, string, number, number]>(`
    INSERT INTO presence (mesh_id, member_id, online, last_seen_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (mesh_id, member_id) DO UPDATE SET online = excluded.online, last_seen_at = excluded.last_seen_at`)
  const selectPresent = db.prepare<[], MemberKey>(`
    SELECT mesh_id AS meshId, member_id AS memberId FROM presence WHERE online = 1`)

  return {
    pageMembers: (meshId: string, page: Page) =>
      pageMembers.all(meshId, page.after ?? '', page.limit).map(toMember) as readonly Member[],
    findMember(key: MemberKey): Member | null {
      const row = selectMember.get(key.meshId, key.memberId)
      return row === undefined ? null : toMember(row)
    },
    memberStatus: (key: MemberKey) => selectStatus.get(key.meshId, key.memberId)?.status ?? null,
    pageTopics: (key: MemberKey, page: Page): readonly Topic[] =>
      pageTopics
        .all({ meshId: key.meshId, memberId: key.memberId, after: page.after ?? '', limit: page.limit })
        .map(toTopic),
    findTopic(key: MemberKey, topic: string): Topic | null {
      const row = selectTopic.get({ meshId: key.meshId, memberId: key.memberId, topic })
      return row === undefined ? null : toTopic(row)
    },
    countSubscribers: (meshId: string, topic: string): number => countSubscribers.get(meshId, topic)?.subscribers ?? 0,
    listRecipients(key: MemberKey, of: { topic: string; limit: number }) {
      const epoch = selectEpoch.get(key.meshId, of.topic)
      if (epoch === undefined) return null
      const rows = selectRecipients.all(key.meshId, of.topic, key.memberId, of.limit)
      return { ...epoch, members: rows.map((row) => row.memberId) }
    },
    insertTopic: (key: MemberKey, topic: { name: string; at: number }): void =>
      void insertTopic.run(key.meshId, topic.name, key.memberId, topic.at),
    insertSubscription: (key: MemberKey, to: { topic: string; sinceHistoryId: number; at: number }): number =>
      insertSubscription.run(key.meshId, to.topic, key.memberId, to.sinceHistoryId, to.at).changes,
    deleteSubscription: (key: MemberKey, topic: string): number =>
      deleteSubscription.run(key.meshId, topic, key.memberId).changes,
    bumpEpoch: (meshId: string, topic: string): number => bumpEpoch.run(meshId, topic).changes,
    setProfile: (
      key: MemberKey,
      profile: { summary: string | null; activity: string | null; visible: boolean },
    ): void =>
      void upsertProfile.run(key.meshId, key.memberId, profile.summary, profile.activity, profile.visible ? 1 : 0),
    recordPresence: (key: MemberKey, presence: { online: boolean; at: number }): void =>
      void upsertPresence.run(key.meshId, key.memberId, presence.online ? 1 : 0, presence.at),
    listPresent: () => selectPresent.all(),
  }
}
