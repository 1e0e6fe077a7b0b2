/** The SQL of where bytes are, by what refers to them. The view is written by events alone. */
import type { Session } from '../../db/spi.ts'

export interface LocationRow {
  readonly storage_location_id: string
  readonly file_id: string
  readonly package_id: string
  readonly backend_id: string
  readonly object_key: string
  readonly content_address: string
  readonly size_bytes: number
  readonly status: 'stored' | 'missing' | 'corrupt' | 'deleted'
  readonly retrieval_tier: 'hot' | 'warm' | 'cold' | 'archive'
  readonly restore_status: string | null
  readonly stored_at: number
}

const locationColumns = `storage_location_id, file_id, package_id, backend_id, object_key, content_address, size_bytes, status,
  retrieval_tier, restore_status, stored_at`

const selectLocationsOfFile = `
  SELECT ${locationColumns} FROM storage_locations WHERE file_id = $1 ORDER BY storage_location_id`

export function listLocationsOfFile(session: Session, fileId: string): Promise<readonly LocationRow[]> {
  return session.query(selectLocationsOfFile, [fileId])
}

const selectLocationsOfObject = `
  SELECT ${locationColumns} FROM storage_locations
   WHERE backend_id = $1 AND content_address = $2 AND status <> 'deleted' ORDER BY storage_location_id`

/** What refers to an object: its bytes stay as long as there is any. */
export function listReferences(session: Session, backendId: string, address: string): Promise<readonly LocationRow[]> {
  return session.query(selectLocationsOfObject, [backendId, address])
}

const selectStoredLocation = `
  SELECT ${locationColumns} FROM storage_locations
   WHERE backend_id = $1 AND content_address = $2 AND status = 'stored' ORDER BY storage_location_id LIMIT 1`

/** The first of what refers to an object whose bytes are there as far as is known. */
export async function findStoredReference(
  session: Session,
  backendId: string,
  address: string,
): Promise<LocationRow | null> {
  const [row] = await session.query<LocationRow>(selectStoredLocation, [backendId, address])
  return row ?? null
}

const selectDamagedLocations = `
  SELECT ${locationColumns} FROM storage_locations
   WHERE backend_id = $1 AND content_address = $2 AND status IN ('missing', 'corrupt') ORDER BY storage_location_id`

/** What refers to an object whose bytes were found to be gone, or others. */
export function listDamagedReferences(
  session: Session,
  backendId: string,
  address: string,
): Promise<readonly LocationRow[]> {
  return session.query(selectDamagedLocations, [backendId, address])
}

const pageLocationsText = `
  SELECT ${locationColumns} FROM storage_locations
   WHERE package_id = $1 AND storage_location_id > $2 AND status <> 'deleted' ORDER BY storage_location_id LIMIT $3`

/** Locations of a package that are not deleted, those after one. */
export function pageLocations(
  session: Session,
  o: { readonly packageId: string; readonly after: string; readonly limit: number },
): Promise<readonly LocationRow[]> {
  return session.query(pageLocationsText, [o.packageId, o.after, o.limit])
}
