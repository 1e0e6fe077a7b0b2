/** A package and a file as callers see them. */
import { ArtifactError } from '../artifact-error.ts'
import type { CanonicalMap } from '../canon/value.ts'
import { isTrue, type Session } from '../db/spi.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import type { FileRow, PackageRow, RetentionRow } from './statements.ts'
import { findPackage } from './statements.ts'

/**
 * `created`: takes files. `finalized`: sealed by its manifest, for ever. `aborted`: given up. `garbage_collected`: its bytes
 * may be gone; its manifest stays readable.
 */
export type PackageStatus = PackageRow['status']

export interface Package {
  readonly packageId: string
  readonly name: string
  readonly producer: string
  readonly subject: string | null
  readonly status: PackageStatus
  readonly retentionClass: string
  readonly artifactType: string
  readonly pathPolicy: 'portable' | 'posix'
  readonly metadata: CanonicalMap
  readonly metadataSchema: string | null
  readonly annotations: Readonly<Record<string, string>>
  readonly provenance: CanonicalMap
  readonly manifestDigest: ContentAddress | null
  readonly contentRoot: ContentAddress | null
  readonly fileCount: number
  readonly totalSizeBytes: number
  /** Milliseconds since the epoch, UTC. */
  readonly createdAt: number
  readonly finalizedAt: number | null
  readonly lastEventSequence: number
}

export interface PackageFile {
  readonly fileId: string
  readonly packageId: string
  readonly relativePath: string
  readonly mediaType: string
  readonly sizeBytes: number
  readonly contentAddress: ContentAddress
  /** Lower-case hexadecimal digits. */
  readonly sha256: string
  readonly annotations: Readonly<Record<string, string>>
  readonly state: 'live' | 'replaced' | 'removed'
  readonly createdAt: number
}

/** How long a package is kept, and why. */
export interface Retention {
  readonly packageId: string
  readonly retentionClass: string
  readonly defaultExpiresAt: number | null
  readonly expiresAt: number | null
  readonly holdId: string | null
  readonly holdReason: string | null
  readonly eligibleForDeletion: boolean
  readonly eligibleAt: number | null
}

export function toPackage(row: PackageRow): Package {
  return {
    packageId: row.package_id,
    name: row.name,
    producer: row.producer,
    subject: row.subject,
    status: row.status,
    retentionClass: row.retention_class,
    artifactType: row.artifact_type,
    pathPolicy: row.path_policy,
    metadata: JSON.parse(row.metadata) as CanonicalMap,
    metadataSchema: row.metadata_schema,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
    provenance: JSON.parse(row.provenance) as CanonicalMap,
    manifestDigest: row.manifest_digest as ContentAddress | null,
    contentRoot: row.content_root as ContentAddress | null,
    fileCount: row.file_count,
    totalSizeBytes: row.total_size_bytes,
    createdAt: row.created_at,
    finalizedAt: row.finalized_at,
    lastEventSequence: row.last_event_sequence,
  }
}

export function toFile(row: FileRow): PackageFile {
  return {
    fileId: row.file_id,
    packageId: row.package_id,
    relativePath: row.relative_path,
    mediaType: row.media_type,
    sizeBytes: row.size_bytes,
    contentAddress: row.content_address as ContentAddress,
    sha256: row.digest_sha256,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
    state: row.state,
    createdAt: row.created_at,
  }
}

export function toRetention(row: RetentionRow): Retention {
  return {
    packageId: row.package_id,
    retentionClass: row.retention_class,
    defaultExpiresAt: row.default_expires_at,
    expiresAt: row.current_expires_at,
    holdId: row.active_hold_id,
    holdReason: row.hold_reason,
    eligibleForDeletion: isTrue(row.eligible_for_deletion),
    eligibleAt: row.eligible_at,
  }
}

/** @throws ArtifactError `package_not_found` */
export async function requirePackage(session: Session, packageId: string): Promise<PackageRow> {
  const row = typeof packageId === 'string' ? await findPackage(session, packageId) : null
  if (row === null) throw new ArtifactError('package_not_found')
  return row
}

/** @throws ArtifactError `package_not_found`, `package_not_open` */
export async function requireOpenPackage(session: Session, packageId: string): Promise<PackageRow> {
  const row = await requirePackage(session, packageId)
  if (row.status !== 'created') throw packageNotOpen(row.status)
  return row
}

export function packageNotOpen(status: PackageStatus): ArtifactError {
  return new ArtifactError('package_not_open', {
    detail: `The package is ${status.replace('_', ' ')} and takes no changes any more.`,
    data: { status },
  })
}
