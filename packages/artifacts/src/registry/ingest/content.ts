/** Bytes that are in the store, and what the log says of them. */
import { ArtifactError } from '../../artifact-error.ts'
import type { IngestResult } from '../../dataplane/spi.ts'
import type { Session } from '../../db/spi.ts'
import type { NewEvent } from '../../events/event.ts'
import { type ContentAddress, formatContentAddress } from '../../identity/content-address.ts'
import type { RelativePath } from '../../paths/relative-path.ts'
import { findStoredReference, type LocationRow } from '../locations/statements.ts'
import { findFile } from '../statements.ts'

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
    const location = await findStoredReference(session, backendId, address)
    const file = location === null ? null : await findFile(session, location.file_id)
    if (location === null || file === null) continue
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

/** A file with its content, in its package. */
export interface NewFileEvent {
  readonly packageId: string
  readonly path: RelativePath
  readonly mediaType: string
  readonly annotations: Readonly<Record<string, string>>
  readonly content: Content
  readonly replacedFileId: string | null
  readonly actor: string
}

/** @param nextId gives the ids of the file and of its locations */
export function ingestedEvent(o: NewFileEvent, nextId: () => string): NewEvent & { readonly subject_id: string } {
  const { content, path } = o
  const fileId = nextId()
  return {
    event_type: 'v1.file.ingested',
    subject_kind: 'file',
    subject_id: fileId,
    actor: o.actor,
    payload: {
      package_id: o.packageId,
      file_id: fileId,
      relative_path: path.relative_path,
      path_key: path.path_key,
      media_type: o.mediaType,
      size_bytes: content.sizeBytes,
      digest_algorithm: content.algorithm,
      digest_primary: content.primary,
      digest_sha256: content.sha256,
      content_address: content.address,
      annotations: o.annotations,
      replaces_file_id: o.replacedFileId,
      deduplicated: content.deduplicated,
      receipts: content.locations.map(({ backend_id, object_key, stored_at, retrieval_tier }) => ({
        storage_location_id: nextId(),
        backend_id,
        object_key,
        size_bytes: content.sizeBytes,
        stored_at,
        retrieval_tier,
      })),
    },
  }
}

/** What was published, as the log says it. */
export function publishedContent(
  o: Pick<IngestResult, 'primary' | 'sha256' | 'sizeBytes' | 'receipt' | 'deduplicated'>,
): Content {
  const { primary, sha256, sizeBytes, receipt, deduplicated } = o
  const location = {
    backend_id: receipt.backendId,
    object_key: receipt.objectKey,
    stored_at: receipt.storedAt,
    retrieval_tier: 'hot' as const,
  }
  const digests = { algorithm: primary.algorithm, primary: primary.hex, sha256: sha256.hex }
  return { address: formatContentAddress(primary), ...digests, sizeBytes, deduplicated, locations: [location] }
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
