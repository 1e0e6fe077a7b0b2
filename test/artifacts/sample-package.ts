/** A finalized package as its manifest and its bytes, without a registry: what an export is made of. */
import {
  type ContentAddress,
  contentRoot,
  digestBytes,
  type ExportSource,
  encodeManifest,
  formatContentAddress,
  type Manifest,
  type ManifestFile,
} from '@claudemesh/artifacts'

export interface SamplePackage extends ExportSource {
  readonly manifest: Manifest
}

export type Contents = Readonly<Record<string, string | Uint8Array>>

/** A package with these files by their paths; always the same for the same files. */
export function samplePackage(contents: Contents, change: Partial<Manifest['package']> = {}): SamplePackage {
  const manifest = sampleManifest(contents, change)
  const blobs = new Map(
    Object.entries(contents).map(([path, content]) => {
      const bytes = Buffer.from(content)
      return [fileOf(path, bytes).content_address as ContentAddress, bytes]
    }),
  )
  return {
    manifest,
    manifestBytes: encodeManifest(manifest),
    signatures: [],
    async *read(address) {
      const bytes = blobs.get(address)
      if (bytes === undefined) throw new Error(`no bytes of ${address}`)
      // In two chunks, as a store would give them.
      yield bytes.subarray(0, 1000)
      yield bytes.subarray(1000)
    },
  }
}

/** The manifest of such a package, valid or not. */
export function sampleManifest(contents: Contents, change: Partial<Manifest['package']> = {}): Manifest {
  const files = Object.entries(contents)
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([path, content]) => fileOf(path, Buffer.from(content)))
  return manifestOf(files, change)
}

function fileOf(path: string, bytes: Uint8Array): ManifestFile {
  const { primary, sha256, sizeBytes } = digestBytes(bytes)
  return {
    relative_path: path,
    media_type: path.endsWith('.json') ? 'application/json' : 'text/plain',
    size_bytes: sizeBytes,
    digest_algorithm: primary.algorithm,
    digest_primary: primary.hex,
    digest_sha256: sha256.hex,
    content_address: formatContentAddress(primary),
    annotations: path.includes('/') ? { 'com.example.directory': 'yes' } : {},
  }
}

function manifestOf(files: readonly ManifestFile[], change: Partial<Manifest['package']>): Manifest {
  const sizes = new Map(files.map((file) => [file.content_address, file.size_bytes]))
  const createdAt = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
  return {
    manifest_version: 1,
    package: {
      package_id: '01JD0000000000000000000000',
      name: 'report',
      producer: 'alice',
      subject: null,
      artifact_type: 'application/vnd.example.report',
      retention_class: 'transient',
      path_policy: 'portable',
      created_at: createdAt,
      finalized_at: createdAt + 1000,
      file_count: files.length,
      total_size_bytes: files.reduce((sum, file) => sum + file.size_bytes, 0),
      content_root: contentRoot(files),
      metadata: {},
      annotations: { 'com.example.team': 'käse' },
      ...change,
    },
    files: [...files],
    storage_receipts: [...sizes]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([address, size]) => ({
        content_address: address,
        backend_id: 'local',
        object_key: address.replace(':', '/'),
        size_bytes: size,
        stored_at: createdAt,
      })),
    retention_summary: {
      retention_class: 'transient',
      default_duration_seconds: 604_800,
      expires_at: createdAt + 604_800_000,
      held: false,
    },
    provenance: {
      registry_id: null,
      actor: 'alice',
      tool: null,
      run_id: null,
      repository: null,
      commit: null,
      environment: {},
      imported_from: null,
      first_event_sequence: 1,
      last_event_sequence: 7,
    },
  }
}
