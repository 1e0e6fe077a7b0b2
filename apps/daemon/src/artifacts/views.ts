/** What the store takes and says, in the words of the wire. */
import type {
  Collection,
  ContentAddress,
  IngestedFile,
  NewPackage,
  NewUpload,
  Package,
  PackageFile,
  PackageFilter,
  Provenance,
  RegistryHealth,
  Retention,
  Stats,
  Upload,
  VerifiedLocation,
} from '@claudemesh/artifacts'
import type {
  ArtifactCollection,
  ArtifactFile,
  ArtifactPackage,
  ArtifactRetention,
  ArtifactStats,
  ArtifactsHealth,
  ArtifactUpload,
  IngestedArtifactFile,
  NewArtifactPackage,
  NewArtifactUpload,
  PackageListQuery,
  ShownPackage,
  VerifiedLocations,
} from '@claudemesh/protocol/artifacts'

/** Of a file of which nobody says what it is. */
export const mediaTypeDefault = 'application/octet-stream'

export function toHealthView({ status, registryId, database, backends }: RegistryHealth): ArtifactsHealth {
  return {
    status,
    registry: registryId,
    database: { ...database },
    backends: backends.map((backend) => ({
      backend_id: backend.backendId,
      healthy: backend.healthy,
      read_only: backend.readOnly,
      free_bytes: backend.freeBytes,
      total_bytes: backend.totalBytes,
      detail: backend.detail,
    })),
  }
}

/** Members that were left out stay out: what the store takes for them is its own to say. */
export function toNewPackage(body: NewArtifactPackage): Omit<NewPackage, 'actor' | 'idempotencyKey'> {
  const { name, producer, subject, annotations, provenance } = body
  return {
    name,
    producer,
    retentionClass: body.retention_class,
    ...(subject === undefined ? {} : { subject }),
    ...(body.artifact_type === undefined ? {} : { artifactType: body.artifact_type }),
    ...(body.path_policy === undefined ? {} : { pathPolicy: body.path_policy }),
    // Whether it has a canonical form is judged by the store, which names the place where it has none.
    ...(body.metadata === undefined ? {} : { metadata: body.metadata as NonNullable<NewPackage['metadata']> }),
    ...(body.metadata_schema === undefined ? {} : { metadataSchema: body.metadata_schema }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(provenance === undefined ? {} : { provenance: toProvenance(provenance) }),
  }
}

function toProvenance(provenance: NonNullable<NewArtifactPackage['provenance']>): Provenance {
  const { run_id: runId, imported_from: importedFrom, ...same } = provenance
  return {
    ...same,
    ...(runId === undefined ? {} : { runId }),
    ...(importedFrom === undefined ? {} : { importedFrom }),
  }
}

export function toPackageFilter(query: PackageListQuery): PackageFilter {
  const { producer, subject, retention_class: retentionClass, status } = query
  const prefix = 'meta.'
  const metadata = Object.entries(query as Record<string, unknown>).flatMap(([name, value]): [string, string][] =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), String(value)]] : [],
  )
  return {
    ...(producer === undefined ? {} : { producer }),
    ...(subject === undefined ? {} : { subject }),
    ...(retentionClass === undefined ? {} : { retentionClass }),
    ...(status === undefined ? {} : { status }),
    ...(metadata.length === 0 ? {} : { metadata: Object.fromEntries(metadata) }),
  }
}

export function toPackageView(found: Package): ArtifactPackage {
  return {
    package_id: found.packageId,
    name: found.name,
    producer: found.producer,
    subject: found.subject,
    status: found.status,
    retention_class: found.retentionClass,
    artifact_type: found.artifactType,
    path_policy: found.pathPolicy,
    metadata: found.metadata,
    metadata_schema: found.metadataSchema,
    annotations: found.annotations,
    provenance: found.provenance,
    manifest_digest: found.manifestDigest,
    content_root: found.contentRoot,
    file_count: found.fileCount,
    total_size_bytes: found.totalSizeBytes,
    created_at: found.createdAt,
    finalized_at: found.finalizedAt,
    last_event_sequence: found.lastEventSequence,
  }
}

export function toShownPackage(found: Package & { readonly retention: Retention }): ShownPackage {
  return { ...toPackageView(found), retention: toRetentionView(found.retention) }
}

export function toRetentionView(retention: Retention): ArtifactRetention {
  return {
    package_id: retention.packageId,
    retention_class: retention.retentionClass,
    default_expires_at: retention.defaultExpiresAt,
    expires_at: retention.expiresAt,
    hold_id: retention.holdId,
    hold_reason: retention.holdReason,
    eligible_for_deletion: retention.eligibleForDeletion,
    eligible_at: retention.eligibleAt,
  }
}

export function toFileView(file: PackageFile): ArtifactFile {
  return {
    file_id: file.fileId,
    package_id: file.packageId,
    relative_path: file.relativePath,
    media_type: file.mediaType,
    size_bytes: file.sizeBytes,
    content_address: file.contentAddress,
    sha256: file.sha256,
    annotations: file.annotations,
    state: file.state,
    created_at: file.createdAt,
  }
}

export function toIngestedView(file: IngestedFile): IngestedArtifactFile {
  return {
    file_id: file.fileId,
    relative_path: file.relativePath,
    content_address: file.contentAddress,
    sha256: file.sha256,
    size_bytes: file.sizeBytes,
    deduplicated: file.deduplicated,
    replaced_file_id: file.replacedFileId,
  }
}

export function toNewUpload(body: NewArtifactUpload): Omit<NewUpload, 'actor'> {
  return {
    relativePath: body.relative_path,
    mediaType: body.media_type ?? mediaTypeDefault,
    ...(body.size_bytes === undefined ? {} : { sizeBytes: body.size_bytes }),
    // The store reads the address again, and says what is wrong with it.
    ...(body.expected === undefined ? {} : { expected: body.expected as ContentAddress }),
  }
}

export function toUploadView(upload: Upload): ArtifactUpload {
  return {
    upload_id: upload.uploadId,
    package_id: upload.packageId,
    relative_path: upload.relativePath,
    media_type: upload.mediaType,
    size_bytes: upload.sizeBytes,
    expected: upload.expected,
    offset: upload.offset,
    expires_at: upload.expiresAt,
  }
}

export function toCollectionView({ packages, objects }: Collection): ArtifactCollection {
  return {
    packages: [...packages],
    objects: objects.map(({ backendId, contentAddress, sizeBytes }) => ({
      backend_id: backendId,
      content_address: contentAddress,
      size_bytes: sizeBytes,
    })),
  }
}

export function toLocationViews(locations: readonly VerifiedLocation[]): VerifiedLocations['locations'] {
  return locations.map((location) => ({
    storage_location_id: location.storageLocationId,
    file_id: location.fileId,
    backend_id: location.backendId,
    content_address: location.contentAddress,
    outcome: location.outcome,
  }))
}

export function toStatsView(stats: Stats): ArtifactStats {
  return {
    packages: stats.packages,
    files: stats.files,
    logical_bytes: stats.logicalBytes,
    physical_bytes: stats.physicalBytes,
    objects: stats.objects,
    unreferenced_bytes: stats.unreferencedBytes,
  }
}
