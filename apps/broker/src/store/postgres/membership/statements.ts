/** The SQL of meshes, of members as they are let in, of invites and of the audit log. */
import type { RevocationList } from '@claudemesh/protocol'
import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { Credentials } from '../../judge-admission.ts'
import type { MemberStatus } from '../../member-states.ts'
import type { MemberKey, Mesh } from '../../rows.ts'
import type { Admission } from '../../store.ts'

const meshColumns = `
  h.id AS "meshId", h.slug, h.root_key AS "rootKey", h.dedupe_mode AS "dedupeMode",
  h.dedupe_retention_days AS "dedupeRetentionDays", h.message_retention_days AS "messageRetentionDays",
  h.clone_concurrency_policy AS "concurrencyPolicy", h.blob_quota_bytes AS "blobQuotaBytes"`

const selectMesh = prepare(`SELECT ${meshColumns} FROM mesh.mesh h WHERE h.id = $1`)
const selectMeshesWithSettings = prepare(`
  SELECT ${meshColumns} FROM mesh.mesh h
   WHERE h.dedupe_mode IS NOT NULL OR h.dedupe_retention_days IS NOT NULL OR h.message_retention_days IS NOT NULL
      OR h.clone_concurrency_policy IS NOT NULL OR h.blob_quota_bytes IS NOT NULL
   ORDER BY h.id`)
const insertMesh = prepare(`
  WITH made AS (INSERT INTO mesh.mesh (id, slug, root_key, record, registered_at) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (id) DO NOTHING RETURNING id)
  INSERT INTO mesh.mesh_counter (mesh_id) SELECT id FROM made`)
const selectKnown = prepare(`
  SELECT ${meshColumns}, m.epoch, m.signing_key AS "signingKey", m.chain, m.status,
         m.host_fingerprint AS "hostFingerprint", m.ephemeral_ttl_ms AS "ephemeralTtlMs", r.list
    FROM mesh.mesh h
    LEFT JOIN mesh.member m ON m.mesh_id = h.id AND m.member_id = $2
    LEFT JOIN mesh.revocation_list r ON r.mesh_id = h.id
   WHERE h.id = $1`)
const countUses = prepare(`
  SELECT count(u.member_id) AS used, coalesce(bool_or(u.member_id = i.member_id), false) AS mine
    FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS i(invite_id, member_id, place)
    LEFT JOIN mesh.invite_use u ON u.mesh_id = $1 AND u.invite_id = i.invite_id
   GROUP BY i.place ORDER BY i.place`)
const insertUses = prepare(`
  WITH shown AS (SELECT * FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[])
                        AS i(invite_id, member_id, uses, not_after)),
       known AS (INSERT INTO mesh.invite (mesh_id, invite_id, uses, not_after)
                 SELECT $1::text, invite_id, uses, not_after FROM shown ON CONFLICT (mesh_id, invite_id) DO NOTHING)
  INSERT INTO mesh.invite_use (mesh_id, invite_id, member_id, used_at)
  SELECT $1::text, invite_id, member_id, $2::bigint FROM shown`)
const insertMember = prepare(`
  INSERT INTO mesh.member (mesh_id, member_id, name, role, epoch, signing_key, box_key, chain, host_fingerprint,
         ephemeral_ttl_ms, lease_until, joined_at, status)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'active')`)
const updateMember = prepare(`
  UPDATE mesh.member SET name = $3, role = $4, epoch = $5, signing_key = $6, box_key = $7, chain = $8,
         host_fingerprint = $9, ephemeral_ttl_ms = $10, lease_until = $11
   WHERE mesh_id = $1 AND member_id = $2 AND status = 'active'`)
const bringBack = prepare(`
  UPDATE mesh.member SET status = 'active', draining = false WHERE mesh_id = $1 AND member_id = $2 AND status = 'left'`)
const selectStatus = prepare(`SELECT status FROM mesh.member WHERE mesh_id = $1 AND member_id = $2`)
const insertAudit = prepare(`
  INSERT INTO mesh.audit_log (mesh_id, at, actor, action, detail)
  SELECT $1::text, $2::bigint, e.actor, e.action, e.detail
    FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS e(actor, action, detail, place)
   ORDER BY e.place`)

type KnownRow = Mesh & { [K in keyof Credentials]: Credentials[K] | null } & { readonly list: string | null }

/** What is known of a mesh, a member of it, and whom it revokes. */
export interface Known {
  readonly mesh: Mesh
  readonly credentials: Credentials | null
  readonly list: RevocationList | null
}

export async function findMesh(session: Session, meshId: string): Promise<Mesh | null> {
  const [mesh = null] = await session.query<Mesh>(selectMesh, [meshId])
  return mesh
}

export function listMeshesWithSettings(session: Session): Promise<readonly Mesh[]> {
  return session.query<Mesh>(selectMeshesWithSettings)
}

/** Waits for whoever is registering the same mesh. @returns whether it was this one who did */
export async function registerMesh(session: Session, { mesh, at }: Admission): Promise<boolean> {
  const values = [mesh.mesh_id, mesh.slug, mesh.root_key, JSON.stringify(mesh), at]
  return (await session.execute(insertMesh, values)) > 0
}

export async function findKnown(session: Session, key: MemberKey): Promise<Known | null> {
  const [row] = await session.query<KnownRow>(selectKnown, [key.meshId, key.memberId])
  if (row === undefined) return null
  const { epoch, signingKey, chain, status, hostFingerprint, ephemeralTtlMs, list, ...mesh } = row
  const isMember = epoch !== null && signingKey !== null && chain !== null && status !== null
  return {
    mesh,
    credentials: isMember ? { epoch, signingKey, chain, status, hostFingerprint, ephemeralTtlMs } : null,
    list: list === null ? null : (JSON.parse(list) as RevocationList),
  }
}

/** Of each invite in the chain, in their order: how many members it has admitted, and whether this is one of them. */
export function countInviteUses(
  session: Session,
  { mesh, invites }: Admission,
): Promise<readonly { readonly used: number; readonly mine: boolean }[]> {
  const inviteIds = invites.map(({ inviteId }) => inviteId)
  const memberIds = invites.map(({ memberId }) => memberId)
  return session.query(countUses, [mesh.mesh_id, inviteIds, memberIds])
}

export function saveInviteUses(session: Session, { mesh, at }: Admission, uses: Admission['invites']): Promise<number> {
  return session.execute(insertUses, [
    mesh.mesh_id,
    at,
    uses.map(({ inviteId }) => inviteId),
    uses.map(({ memberId }) => memberId),
    uses.map((use) => use.uses),
    uses.map(({ notAfter }) => notAfter),
  ])
}

export function saveNewMember(session: Session, admission: Admission): Promise<number> {
  return session.execute(insertMember, [...memberValues(admission), admission.at])
}

export function renewMember(session: Session, admission: Admission): Promise<number> {
  return session.execute(updateMember, memberValues(admission))
}

function memberValues(a: Admission): readonly unknown[] {
  const leaseUntil = a.ephemeralTtlMs === null ? null : a.at + a.ephemeralTtlMs
  const keys = [a.mesh.mesh_id, a.memberId, a.name, a.role, a.epoch, a.signingKey, a.boxKey, JSON.stringify(a.chain)]
  return [...keys, a.hostFingerprint, a.ephemeralTtlMs, leaseUntil]
}

/** What still waits for a member that left is delivered to it after all. */
export function bringMemberBack(session: Session, key: MemberKey): Promise<number> {
  return session.execute(bringBack, [key.meshId, key.memberId])
}

export async function findMemberStatus(session: Session, key: MemberKey): Promise<MemberStatus | null> {
  const [row] = await session.query<{ status: MemberStatus }>(selectStatus, [key.meshId, key.memberId])
  return row?.status ?? null
}

export interface AuditEntry {
  readonly actor: string
  readonly action: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** Writes to the audit log, in their order. */
export async function audit(
  session: Session,
  { meshId, at }: { readonly meshId: string; readonly at: number },
  entries: readonly AuditEntry[],
): Promise<void> {
  const actors = entries.map(({ actor }) => actor)
  const actions = entries.map(({ action }) => action)
  const details = entries.map(({ detail }) => JSON.stringify(detail))
  await session.execute(insertAudit, [meshId, at, actors, actions, details])
}
