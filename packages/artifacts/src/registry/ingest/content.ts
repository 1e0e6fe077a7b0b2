/** Bytes that are in the store, and what the log says of them. */
import { ArtifactError } from '../../artifact-error.ts'
import type { Session } from '../../db/spi.ts'
import type { NewEvent } from '../../events/event.ts'
import type { ContentAddress } from '../../identity/content-address.ts'
import { findFile, type LocationRow, listReferences } from '../statements.ts'

/** Bytes that are here, and where. */
export interface Content {
  readonly address: ContentAddress
  readonly algorithm: string
  readonly primary: string
  readonly sha256: string
  readonly sizeBytes: number
  readonly deduplicated: boolean
  readonly locations: readonly Pick<LocationRow, 'backend_id' | 'object_key' | 'stored_at' | 'retrieval_tier'>[]
}

/** @throws ArtifactError `object_not_found`: no file that is stored has this content */
export async function findContent(
  session: Session,
  address: ContentAddress,
  backendIds: readonly string[],
): Promise<Content> {
  for (const backendId of backendIds) {
    const locations = (await listReferences(session, backendId, address)).filter(({ status }) => status === 'stored')
    const [location] = locations
    const file = location === undefined ? null : await findFile(session, location.file_id)
    if (location === undefined || file === null) continue
    return {
      address,
      algorithm: file.digest_algorithm,
      primary: file.digest_primary,
      sha256: file.digest_sha256,
      sizeBytes: file.size_bytes,
      deduplicated: true,
      locations: [location],
    }
  }
  throw new ArtifactError('object_not_found')
}

/** The bytes of a location that were missing or wrong are there again. */
export function healedEvent(
  location: LocationRow,
  { actor, content }: { readonly actor: string; readonly content: Content },
): NewEvent {
  return {
    event_type: 'v1.storage.location_verified',
    subject_kind: 'location',
    subject_id: location.storage_location_id,
    actor,
    payload: {
      package_id: location.package_id,
      storage_location_id: location.storage_location_id,
      outcome: 'verified',
      actual_primary: content.primary,
      actual_sha256: content.sha256,
      actual_size_bytes: content.sizeBytes,
    },
  }
}
