/** The SQL of uploads under way: who they are for, and how many of their bytes are durable. No view: a replay leaves it. */
import type { Session, Tx } from '../../db/spi.ts'

export interface UploadRow {
  readonly upload_id: string
  readonly package_id: string
  readonly relative_path: string
  readonly path_key: string
  readonly media_type: string
  /** How many bytes there will be; null: nobody has said. */
  readonly size_bytes: number | null
  /** The content address that they will have; null: nobody has said. */
  readonly expected: string | null
  readonly next_offset: number
  readonly created_at: number
  /** When the last byte came. */
  readonly touched_at: number
}

const columns = `upload_id, package_id, relative_path, path_key, media_type, size_bytes, expected, next_offset, created_at,
  touched_at`

const selectUpload = `SELECT ${columns} FROM uploads WHERE upload_id = $1`

export async function findUpload(session: Session, uploadId: string): Promise<UploadRow | null> {
  const [row] = await session.query<UploadRow>(selectUpload, [uploadId])
  return row ?? null
}

const selectOfPackage = `SELECT ${columns} FROM uploads WHERE package_id = $1 ORDER BY upload_id`

export function listUploadsOf(session: Session, packageId: string): Promise<readonly UploadRow[]> {
  return session.query<UploadRow>(selectOfPackage, [packageId])
}

const selectCount = 'SELECT count(*) AS uploads FROM uploads'

export async function countUploads(session: Session): Promise<number> {
  const [row] = await session.query<{ uploads: number }>(selectCount)
  return row?.uploads ?? 0
}

const selectIds = 'SELECT upload_id FROM uploads ORDER BY upload_id'

export async function listUploadIds(session: Session): Promise<readonly string[]> {
  return (await session.query<{ upload_id: string }>(selectIds)).map(({ upload_id }) => upload_id)
}

const insertText = `INSERT INTO uploads (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

export async function insertUpload(tx: Tx, row: UploadRow): Promise<void> {
  await tx.execute(insertText, [
    row.upload_id,
    row.package_id,
    row.relative_path,
    row.path_key,
    row.media_type,
    row.size_bytes,
    row.expected,
    row.next_offset,
    row.created_at,
    row.touched_at,
  ])
}

const updateOffset = 'UPDATE uploads SET next_offset = $2, touched_at = $3 WHERE upload_id = $1'

/** @returns false: there is no such upload any more */
export async function setOffset(
  tx: Tx,
  o: { readonly uploadId: string; readonly offset: number; readonly at: number },
): Promise<boolean> {
  return (await tx.execute(updateOffset, [o.uploadId, o.offset, o.at])) === 1
}

const updateSize = 'UPDATE uploads SET size_bytes = next_offset WHERE upload_id = $1'

/** From now on there are no more bytes than there are. */
export async function setComplete(tx: Tx, uploadId: string): Promise<void> {
  await tx.execute(updateSize, [uploadId])
}

const deleteOne = 'DELETE FROM uploads WHERE upload_id = $1'

/** @returns false: there was none */
export async function deleteUpload(tx: Tx, uploadId: string): Promise<boolean> {
  return (await tx.execute(deleteOne, [uploadId])) === 1
}

const deleteOld = 'DELETE FROM uploads WHERE touched_at <= $1 OR created_at <= $2'

/** Deletes those whose last byte is as old as this, and those that were begun so long ago. */
export async function deleteExpired(
  tx: Tx,
  o: { readonly touchedAt: number; readonly createdAt: number },
): Promise<number> {
  return tx.execute(deleteOld, [o.touchedAt, o.createdAt])
}
