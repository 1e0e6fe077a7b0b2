/** The SQL of keeping and letting go (06 §13). */
import type { Session, SqlValue, Tx } from '../db/spi.ts'
import type { LocationRow } from '../registry/locations/statements.ts'
import type { RetentionRow } from '../registry/statements.ts'

const selectExpired = `
  SELECT retention_state.package_id FROM retention_state JOIN artifact_packages USING (package_id)
   WHERE current_expires_at <= $1 AND active_hold_id IS NULL AND eligible_for_deletion = $2
     AND artifact_packages.status <> 'garbage_collected'
   ORDER BY current_expires_at LIMIT $3`

/** Packages past their expiry that are not held and not marked yet. */
export async function listExpired(session: Session, now: number, limit: number): Promise<readonly string[]> {
  const rows = await session.query<{ package_id: string }>(selectExpired, [now, false, limit])
  return rows.map(({ package_id }) => package_id)
}

const selectByHold = `
  SELECT package_id, retention_class, default_expires_at, current_expires_at, active_hold_id, hold_reason,
         eligible_for_deletion, eligible_at
    FROM retention_state WHERE active_hold_id = $1`

export async function findByHold(session: Session, holdId: string): Promise<RetentionRow | null> {
  const [row] = await session.query<RetentionRow>(selectByHold, [holdId])
  return row ?? null
}

const collectable = `
  (artifact_packages.status = 'aborted'
   OR artifact_packages.status = 'finalized' AND eligible_for_deletion = $1 AND active_hold_id IS NULL)`

const pageCollectable = `
  SELECT package_id FROM artifact_packages JOIN retention_state USING (package_id)
   WHERE ${collectable} AND package_id > $2 ORDER BY package_id LIMIT $3`

/** Packages whose bytes may go, in the order of their ids. */
export async function listCollectable(session: Session, after: string, limit: number): Promise<readonly string[]> {
  const rows = await session.query<{ package_id: string }>(pageCollectable, [true, after, limit])
  return rows.map(({ package_id }) => package_id)
}

const selectCollectable = `
  SELECT package_id FROM artifact_packages JOIN retention_state USING (package_id)
   WHERE ${collectable} AND package_id = $2`

export async function isCollectable(session: Session, packageId: string): Promise<boolean> {
  return (await session.query(selectCollectable, [true, packageId])).length > 0
}

// ---- objects ---------------------------------------------------------------------------------------------------------

export interface BlobRow {
  readonly backend_id: string
  readonly content_address: string
  readonly last_put_at: number
  readonly doomed_at: number | null
}

const selectBlob = `
  SELECT backend_id, content_address, last_put_at, doomed_at FROM blob_state WHERE backend_id = $1 AND content_address = $2`

export async function findBlob(session: Session, backendId: string, address: string): Promise<BlobRow | null> {
  const [row] = await session.query<BlobRow>(selectBlob, [backendId, address])
  return row ?? null
}

const upsertDoomed = `
  INSERT INTO blob_state (backend_id, content_address, first_seen_at, last_put_at, doomed_at) VALUES ($1, $2, $3, $3, $3)
  ON CONFLICT (backend_id, content_address) DO UPDATE SET doomed_at = excluded.doomed_at`

/** Marks an object whose bytes are to be deleted. The address is locked. */
export async function doom(tx: Tx, backendId: string, address: string, at: number): Promise<void> {
  await tx.execute(upsertDoomed, [backendId, address, at])
}

const updateSpared = 'UPDATE blob_state SET doomed_at = NULL WHERE backend_id = $1 AND content_address = $2'

export async function spare(tx: Tx, backendId: string, address: string): Promise<void> {
  await tx.execute(updateSpared, [backendId, address])
}

const deleteBlob = 'DELETE FROM blob_state WHERE backend_id = $1 AND content_address = $2'

export async function forgetBlob(tx: Tx, backendId: string, address: string): Promise<void> {
  await tx.execute(deleteBlob, [backendId, address])
}

const pageDoomed = `
  SELECT backend_id, content_address, last_put_at, doomed_at FROM blob_state
   WHERE doomed_at IS NOT NULL AND (backend_id, content_address) > ($1, $2)
   ORDER BY backend_id, content_address LIMIT $3`

export function listDoomed(
  session: Session,
  after: { readonly backendId: string; readonly address: string },
  limit: number,
): Promise<readonly BlobRow[]> {
  return session.query(pageDoomed, [after.backendId, after.address, limit])
}

const pageBlobs = `
  SELECT backend_id, content_address, last_put_at, doomed_at FROM blob_state
   WHERE (backend_id, content_address) > ($1, $2) ORDER BY backend_id, content_address LIMIT $3`

/** Objects that were put, in the order in which they are scrubbed. */
export function listBlobs(
  session: Session,
  after: { readonly backendId: string; readonly address: string },
  limit: number,
): Promise<readonly BlobRow[]> {
  return session.query(pageBlobs, [after.backendId, after.address, limit])
}

const selectCursor = 'SELECT backend_id, content_address FROM scrub_cursor WHERE id = 1'
const upsertCursor = `
  INSERT INTO scrub_cursor (id, backend_id, content_address, updated_at) VALUES (1, $1, $2, $3)
  ON CONFLICT (id) DO UPDATE
    SET backend_id = excluded.backend_id, content_address = excluded.content_address, updated_at = excluded.updated_at`
const updateScrubbed = 'UPDATE blob_state SET last_scrubbed_at = $3 WHERE backend_id = $1 AND content_address = $2'

/** The object that was scrubbed last; before the first one: nothing. */
export async function readScrubCursor(
  session: Session,
): Promise<{ readonly backendId: string; readonly address: string }> {
  const [row] = await session.query<{ backend_id: string; content_address: string }>(selectCursor)
  return { backendId: row?.backend_id ?? '', address: row?.content_address ?? '' }
}

export async function noteScrubbed(tx: Tx, backendId: string, address: string, at: number): Promise<void> {
  await tx.execute(updateScrubbed, [backendId, address, at])
  await tx.execute(upsertCursor, [backendId, address, at])
}

// ---- sums ------------------------------------------------------------------------------------------------------------

const sumLogical = `
  SELECT coalesce(sum(total_size_bytes), 0) AS bytes, coalesce(sum(file_count), 0) AS files, count(*) AS packages
    FROM artifact_packages WHERE status <> 'garbage_collected'`

/** What packages say that they hold. */
export async function sumPackages(
  session: Session,
): Promise<{ readonly bytes: number; readonly files: number; readonly packages: number }> {
  const [row] = await session.query<Readonly<Record<'bytes' | 'files' | 'packages', SqlValue>>>(sumLogical)
  // PostgreSQL sums to a type that comes as text.
  return { bytes: Number(row?.bytes ?? 0), files: Number(row?.files ?? 0), packages: Number(row?.packages ?? 0) }
}

const selectOneReference = `
  SELECT storage_location_id FROM storage_locations
   WHERE backend_id = $1 AND content_address = $2 AND status <> 'deleted' LIMIT 1`

/** Whether some package refers to an object. */
export async function isReferenced(session: Session, backendId: string, address: string): Promise<boolean> {
  return (await session.query(selectOneReference, [backendId, address])).length > 0
}

const countReferencesText = `
  SELECT count(*) AS count FROM storage_locations
   WHERE backend_id = $1 AND content_address = $2 AND status <> 'deleted'`

export async function countReferences(session: Session, backendId: string, address: string): Promise<number> {
  const [row] = await session.query<{ count: number }>(countReferencesText, [backendId, address])
  return row?.count ?? 0
}

const selectOtherReference = `
  SELECT storage_location_id FROM storage_locations
   WHERE backend_id = $1 AND content_address = $2 AND status <> 'deleted' AND storage_location_id <> $3 LIMIT 1`

/** Whether anything but one location refers to its object. */
export async function isReferencedElsewhere(session: Session, location: LocationRow): Promise<boolean> {
  const { backend_id, content_address, storage_location_id } = location
  return (await session.query(selectOtherReference, [backend_id, content_address, storage_location_id])).length > 0
}
