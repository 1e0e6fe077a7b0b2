/** Blobs, whom they name, the objects of their bytes, and how much each mesh has. */
import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { Blob, BlobKey, RelayTerms, Reservation, SpooledPart, Upload } from '../../blobs.ts'
import type { MemberKey } from '../../rows.ts'

const columns = `b.state, b.size_bytes AS "sizeBytes", b.expires_at AS "expiresAt"`
const keyColumns = `b.mesh_id AS "meshId", b.address, b.sender`

/** A blob as it is ended. */
export interface EndingBlob extends BlobKey, Blob {}

const parts = ({ meshId, address, sender }: BlobKey) => [meshId, address, sender]

const insertTerms = prepare(`
  INSERT INTO mesh.relay (id, ticket_key, place) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`)
const selectTerms = prepare(`SELECT ticket_key AS "ticketKey", place FROM mesh.relay WHERE id = 1`)

export async function agree(session: Session, offered: RelayTerms): Promise<RelayTerms> {
  await session.execute(insertTerms, [offered.ticketKey, offered.place])
  const [terms] = await session.query<RelayTerms>(selectTerms)
  return terms ?? offered
}

const insertUsage = prepare(`INSERT INTO mesh.blob_usage (mesh_id) VALUES ($1) ON CONFLICT (mesh_id) DO NOTHING`)
const lockUsage = prepare(`SELECT blobs, bytes FROM mesh.blob_usage WHERE mesh_id = $1 FOR UPDATE`)

export interface Usage {
  readonly blobs: number
  readonly bytes: number
}

/** Until the end of the transaction nobody else makes or ends a blob of the mesh. @returns what it has */
export async function lockBlobs(session: Session, meshId: string): Promise<Usage> {
  const [found] = await session.query<Usage>(lockUsage, [meshId])
  if (found !== undefined) return found
  await session.execute(insertUsage, [meshId])
  const [made] = await session.query<Usage>(lockUsage, [meshId])
  return made ?? { blobs: 0, bytes: 0 }
}

const updateUsage = prepare(`
  UPDATE mesh.blob_usage SET blobs = blobs + $2, bytes = bytes + $3 WHERE mesh_id = $1`)

/** The blobs of the mesh are locked. */
export function countBlobs(session: Session, meshId: string, change: Usage): Promise<number> {
  return session.execute(updateUsage, [meshId, change.blobs, change.bytes])
}

const sumUsage = prepare(`
  SELECT coalesce(sum(blobs), 0)::bigint AS blobs, coalesce(sum(bytes), 0)::bigint AS bytes FROM mesh.blob_usage`)

export async function sumBlobs(session: Session) {
  const [row] = await session.query<Usage>(sumUsage)
  return row ?? { blobs: 0, bytes: 0 }
}

const select = prepare(`
  SELECT ${columns}, b.spool_id AS "spoolId", b.spool_offset AS "spoolOffset"
    FROM mesh.blob b WHERE b.mesh_id = $1 AND b.address = $2 AND b.sender = $3`)

interface UploadRow extends Blob {
  readonly spoolId: string | null
  readonly spoolOffset: number
}

export async function findBlob(session: Session, key: BlobKey): Promise<Upload | null> {
  const [row] = await session.query<UploadRow>(select, parts(key))
  if (row === undefined) return null
  const { spoolId, spoolOffset, ...blob } = row
  return { ...blob, spooled: spoolId === null ? null : { id: spoolId, offset: spoolOffset } }
}

const record = prepare(`
  UPDATE mesh.blob SET spool_id = $4, spool_offset = $5
   WHERE mesh_id = $1 AND address = $2 AND sender = $3 AND state = 'open'
     AND spool_id IS NOT DISTINCT FROM $6 AND spool_offset = $7`)

/** @returns 0 when it is not as it was */
export function recordSpooled(
  session: Session,
  key: BlobKey,
  { from, to }: { readonly from: SpooledPart | null; readonly to: SpooledPart | null },
): Promise<number> {
  const spooled = [to?.id ?? null, to?.offset ?? 0, from?.id ?? null, from?.offset ?? 0]
  return session.execute(record, [...parts(key), ...spooled])
}

const selectSpooled = prepare(`SELECT 1 FROM mesh.blob WHERE spool_id = $1`)

export async function isSpooled(session: Session, id: string): Promise<boolean> {
  return (await session.query(selectSpooled, [id])).length > 0
}

const selectReadable = prepare(`
  SELECT ${columns} FROM mesh.blob b
   WHERE b.mesh_id = $1 AND b.address = $2 AND b.state <> 'open'
     AND (b.sender = $3 OR
          EXISTS (SELECT 1 FROM mesh.blob_recipient r
                   WHERE r.mesh_id = b.mesh_id AND r.address = b.address AND r.sender = b.sender
                     AND r.recipient = $3))`)

/** Of several senders' blobs that the member may have one that is stored, if any is. */
export async function findReadable(session: Session, member: MemberKey, address: string): Promise<Blob | null> {
  const found = await session.query<Blob>(selectReadable, [member.meshId, address, member.memberId])
  return found.find(({ state }) => state === 'stored') ?? found[0] ?? null
}

const selectOpen = prepare(`
  SELECT count(*) AS open FROM mesh.blob WHERE mesh_id = $1 AND sender = $2 AND state = 'open'`)

export async function countOpen(session: Session, { meshId, sender }: BlobKey): Promise<number> {
  const [row] = await session.query<{ open: number }>(selectOpen, [meshId, sender])
  return row?.open ?? 0
}

const selectActive = prepare(`
  SELECT m.member_id AS "memberId"
    FROM unnest($2::text[]) AS n(member_id) CROSS JOIN LATERAL
         (SELECT member_id FROM mesh.member
           WHERE mesh_id = $1 AND member_id = n.member_id AND status = 'active' OFFSET 0) m`)

/** Which of them are members. */
export async function listActive(
  session: Session,
  meshId: string,
  memberIds: readonly string[],
): Promise<readonly string[]> {
  const rows = await session.query<{ memberId: string }>(selectActive, [meshId, memberIds])
  return rows.map((row) => row.memberId)
}

const insert = prepare(`
  INSERT INTO mesh.blob (mesh_id, address, sender, size_bytes, created_at, touched_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $5, $6)`)

export async function insertBlob(session: Session, blob: Reservation): Promise<void> {
  await session.execute(insert, [...parts(blob), blob.sizeBytes, blob.now, blob.expiresAt])
}

const touch = prepare(`
  UPDATE mesh.blob SET touched_at = $4, expires_at = greatest(expires_at, $5)
   WHERE mesh_id = $1 AND address = $2 AND sender = $3 AND state <> 'expired'`)

export async function touchBlob(session: Session, blob: Reservation): Promise<void> {
  await session.execute(touch, [...parts(blob), blob.now, blob.expiresAt])
}

const insertRecipients = prepare(`
  INSERT INTO mesh.blob_recipient (mesh_id, address, sender, recipient)
  SELECT $1::text, $2::text, $3::text, r FROM unnest($4::text[]) AS r
  ON CONFLICT (mesh_id, address, sender, recipient) DO NOTHING`)

export async function nameRecipients(session: Session, key: BlobKey, recipients: readonly string[]): Promise<void> {
  await session.execute(insertRecipients, [...parts(key), recipients])
}

const markStored = prepare(`
  UPDATE mesh.blob SET state = 'stored', spool_id = NULL
   WHERE mesh_id = $1 AND address = $2 AND sender = $3 AND state = 'open'`)
const markExpired = prepare(`
  UPDATE mesh.blob SET state = 'expired', spool_id = NULL
   WHERE mesh_id = $1 AND address = $2 AND sender = $3 AND state <> 'expired'`)
const remove = prepare(`DELETE FROM mesh.blob WHERE mesh_id = $1 AND address = $2 AND sender = $3`)

/** @returns 0 when it was not open */
export function storeBlob(session: Session, key: BlobKey): Promise<number> {
  return session.execute(markStored, parts(key))
}

/** @returns 0 when it had expired */
export function expireBlob(session: Session, key: BlobKey): Promise<number> {
  return session.execute(markExpired, parts(key))
}

/** @returns 0 when it was not there */
export function removeBlob(session: Session, key: BlobKey): Promise<number> {
  return session.execute(remove, parts(key))
}

const acknowledge = prepare(`
  UPDATE mesh.blob_recipient SET acknowledged_at = coalesce(acknowledged_at, $4)
   WHERE mesh_id = $1 AND address = $2 AND recipient = $3
     AND sender = ANY (ARRAY(SELECT b.sender FROM mesh.blob b
                              WHERE b.mesh_id = $1 AND b.address = $2 AND b.state = 'stored'))`)

/** @returns in how many blobs that are stored the member is named */
export function acknowledgeBlob(
  session: Session,
  member: MemberKey,
  has: { readonly address: string; readonly now: number },
): Promise<number> {
  return session.execute(acknowledge, [member.meshId, has.address, member.memberId, has.now])
}

const selectDone = prepare(`
  SELECT ${keyColumns}, ${columns} FROM mesh.blob b
   WHERE b.mesh_id = $1 AND b.address = $2 AND b.state = 'stored'
     AND NOT EXISTS (SELECT 1 FROM mesh.blob_recipient r
                      WHERE r.mesh_id = b.mesh_id AND r.address = b.address AND r.sender = b.sender
                        AND r.acknowledged_at IS NULL)`)
const selectEnding = prepare(`
  SELECT ${keyColumns}, ${columns} FROM mesh.blob b
   WHERE b.state <> 'expired' AND b.expires_at <= $1 ORDER BY b.expires_at LIMIT $2`)
const selectIdle = prepare(`
  SELECT ${keyColumns}, ${columns} FROM mesh.blob b
   WHERE b.state = 'open' AND b.touched_at < $1 ORDER BY b.touched_at LIMIT $2`)
const selectStored = prepare(`
  SELECT ${keyColumns}, ${columns} FROM mesh.blob b WHERE b.address = $1 AND b.state = 'stored'`)

/** Blobs that every recipient has. */
export function listDone(session: Session, meshId: string, address: string): Promise<readonly EndingBlob[]> {
  return session.query(selectDone, [meshId, address])
}

export function listEnding(session: Session, now: number, limit: number): Promise<readonly EndingBlob[]> {
  return session.query(selectEnding, [now, limit])
}

export function listIdle(session: Session, before: number, limit: number): Promise<readonly EndingBlob[]> {
  return session.query(selectIdle, [before, limit])
}

export function listStored(session: Session, address: string): Promise<readonly EndingBlob[]> {
  return session.query(selectStored, [address])
}

const forget = prepare(`
  DELETE FROM mesh.blob WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mesh.blob WHERE state = 'expired' AND expires_at < $1 ORDER BY expires_at LIMIT $2))`)

/** Forgets blobs that expired before a time. @returns how many */
export function forgetBlobs(session: Session, before: number, limit: number): Promise<number> {
  return session.execute(forget, [before, limit])
}
