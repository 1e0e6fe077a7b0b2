/**
 * Sealing a package (06 §11). The manifest is built from a snapshot, without holding up anybody; then, under the lock of
 * the package, it is written if nothing of the package has changed since, else built again.
 */
import { crashPoint } from '@claudemesh/storage'
import { ArtifactError } from '../artifact-error.ts'
import { type CanonicalMap, manifestBytesMax } from '../canon/value.ts'
import type { DataPlane } from '../dataplane/spi.ts'
import { attemptsMax } from '../db/retry.ts'
import type { Session, Tx } from '../db/spi.ts'
import type { EventLog } from '../events/event-log.ts'
import { findFirstSequence } from '../events/statements.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import { contentRoot } from '../manifest/content-root.ts'
import { encodeManifest } from '../manifest/manifest.ts'
import { compareBytes } from '../manifest/manifest-checks.ts'
import { type Manifest, type ManifestFile, type ManifestReceipt, manifestVersion } from '../manifest/manifest-schema.ts'
import type { Runtime } from '../runtime.ts'
import { checkActor } from './input.ts'
import { type LocationRow, pageLocations } from './locations/statements.ts'
import { packageNotOpen, requirePackage } from './package.ts'
import {
  type FileRow,
  findDuration,
  findRetention,
  type PackageRow,
  pageFiles,
  type RetentionRow,
} from './statements.ts'

export interface FinalizeOptions {
  readonly actor: string
  /** What is made sure of the bytes: that they are there with their size (`head`), all of them (`full`), or nothing. */
  readonly verify?: 'head' | 'full' | 'none'
  readonly allowEmpty?: boolean
}

export interface Finalized {
  readonly manifestDigest: ContentAddress
  /** False: it was finalized before, with this manifest. */
  readonly isNew: boolean
}

const pageRows = 500
/** Objects that are looked at at once. */
const looksMax = 8

interface Contents {
  readonly found: PackageRow
  readonly retention: RetentionRow
  readonly durationSeconds: number | null
  readonly firstSequence: number
  readonly files: readonly FileRow[]
  /** Of live files, those whose bytes are where they should be. */
  readonly locations: readonly LocationRow[]
}

export class Finalize {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #runtime: Runtime
  readonly #registryId: string

  constructor(o: {
    readonly log: EventLog
    readonly plane: DataPlane
    readonly runtime: Runtime
    readonly registryId: string
  }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#runtime = o.runtime
    this.#registryId = o.registryId
  }

  /**
   * @throws ArtifactError `package_not_found`, `package_not_open`, `package_empty`, `object_missing`, `object_corrupt`,
   *   `manifest_too_large`, `busy`: the package kept changing
   */
  async finalize(packageId: string, o: FinalizeOptions): Promise<Finalized> {
    const actor = checkActor(o.actor)
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const contents = await this.#log.read((session) => readContents(session, packageId))
      if ('manifestDigest' in contents) return contents
      if (contents.files.length === 0 && o.allowEmpty !== true) throw new ArtifactError('package_empty')
      await this.#verify(contents, o.verify ?? 'head')
      const manifest = buildManifest(contents, { actor, now: this.#runtime.now(), registryId: this.#registryId })
      const bytes = encode(manifest)
      const finalized = await this.#log.submit({
        packageIds: [packageId],
        run: (tx) => this.#write(tx, { contents, bytes, actor }),
      })
      if (finalized !== null) return finalized
    }
    throw new ArtifactError('busy', { detail: 'The package kept changing while it was to be finalized.' })
  }

  /**
   * Seals a package in the transaction that has filled it, whose bytes are known to be there.
   *
   * @throws ArtifactError `manifest_too_large`
   */
  async write(tx: Tx, packageId: string, actor: string): Promise<Finalized> {
    const contents = await readContents(tx, packageId)
    if ('manifestDigest' in contents) return contents
    const manifest = buildManifest(contents, { actor, now: this.#runtime.now(), registryId: this.#registryId })
    const finalized = await this.#write(tx, { contents, bytes: encode(manifest), actor })
    if (finalized === null) throw new Error('a package that changes within its transaction')
    return finalized
  }

  /** @returns null: the package is not what the manifest says any more */
  async #write(
    tx: Tx,
    { contents, bytes, actor }: { readonly contents: Contents; readonly bytes: Uint8Array; readonly actor: string },
  ): Promise<Finalized | null> {
    const { package_id } = contents.found
    const found = await requirePackage(tx, package_id)
    if (found.status !== 'created' || found.last_event_sequence !== contents.found.last_event_sequence) return null
    crashPoint('artifacts.finalize.locked')
    const subject = { subject_kind: 'package' as const, subject_id: package_id, actor }
    await this.#log.write(tx, [{ event_type: 'v1.package.finalized', ...subject, payload: bytes }])
    const { manifest_digest } = await requirePackage(tx, package_id)
    return { manifestDigest: manifest_digest as ContentAddress, isNew: true }
  }

  async #verify({ files, locations }: Contents, how: 'head' | 'full' | 'none'): Promise<void> {
    if (how === 'none') return
    const byAddress = new Map(locations.map((location) => [location.content_address, location]))
    const wanted = [...new Map(files.map((file) => [file.content_address, file])).values()]
    let next = 0
    const look = async () => {
      for (let file = wanted[next++]; file !== undefined; file = wanted[next++]) {
        await this.#verifyFile(file, byAddress.get(file.content_address), how)
      }
    }
    await Promise.all(Array.from({ length: looksMax }, look))
  }

  async #verifyFile(file: FileRow, location: LocationRow | undefined, how: 'head' | 'full'): Promise<void> {
    const data = { relative_path: file.relative_path }
    const backendId = location?.backend_id
    if (location === undefined || backendId === undefined) throw new ArtifactError('object_missing', { data })
    const address = file.content_address as ContentAddress
    if (how === 'head') {
      const head = await this.#plane.headObject(address, backendId)
      if (head === null) throw new ArtifactError('object_missing', { data })
      if (head.size !== file.size_bytes) throw new ArtifactError('object_corrupt', { data })
      return
    }
    const expected = { backendId, sizeBytes: file.size_bytes, sha256: file.digest_sha256 }
    const { mismatch } = await this.#plane.verifyObject(address, expected)
    if (mismatch !== null)
      throw new ArtifactError(mismatch === 'missing' ? 'object_missing' : 'object_corrupt', { data })
  }
}

/** @returns the digest when the package is finalized already */
async function readContents(session: Session, packageId: string): Promise<Contents | Finalized> {
  const found = await requirePackage(session, packageId)
  if (found.manifest_digest !== null) {
    return { manifestDigest: found.manifest_digest as ContentAddress, isNew: false }
  }
  if (found.status !== 'created') throw packageNotOpen(found.status)
  const retention = await findRetention(session, packageId)
  const firstSequence = await findFirstSequence(session, 'package', packageId)
  if (retention === null || firstSequence === null) throw new Error('a package without its first events')
  const files: FileRow[] = []
  for (let page: readonly FileRow[] | null = null; page === null || page.length === pageRows; ) {
    page = await pageFiles(session, { packageId, after: files.at(-1)?.relative_path ?? '', limit: pageRows })
    files.push(...page)
  }
  const live = new Set(files.map(({ file_id }) => file_id))
  const locations: LocationRow[] = []
  let after = ''
  for (let page: readonly LocationRow[] | null = null; page === null || page.length === pageRows; ) {
    page = await pageLocations(session, { packageId, after, limit: pageRows })
    after = page.at(-1)?.storage_location_id ?? after
    locations.push(...page.filter(({ file_id, status }) => live.has(file_id) && status === 'stored'))
  }
  const durationSeconds = (await findDuration(session, found.retention_class)) ?? null
  return { found, retention, durationSeconds, firstSequence, files, locations }
}

function buildManifest(
  { found, retention, durationSeconds, firstSequence, files: rows, locations }: Contents,
  o: { readonly actor: string; readonly now: number; readonly registryId: string },
): Manifest {
  const files = rows.map(toManifestFile)
  const recorded = JSON.parse(found.provenance) as Omit<
    Manifest['provenance'],
    'registry_id' | 'actor' | 'first_event_sequence' | 'last_event_sequence'
  >
  return {
    manifest_version: manifestVersion,
    package: {
      package_id: found.package_id,
      name: found.name,
      producer: found.producer,
      subject: found.subject,
      artifact_type: found.artifact_type,
      retention_class: found.retention_class,
      path_policy: found.path_policy,
      created_at: found.created_at,
      finalized_at: Math.max(o.now, found.created_at),
      file_count: files.length,
      total_size_bytes: files.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
      content_root: contentRoot(files),
      metadata: JSON.parse(found.metadata) as CanonicalMap,
      annotations: JSON.parse(found.annotations) as Record<string, string>,
    },
    files,
    storage_receipts: toReceipts(locations),
    retention_summary: {
      retention_class: found.retention_class,
      default_duration_seconds: durationSeconds,
      expires_at: retention.current_expires_at,
      held: retention.active_hold_id !== null,
    },
    provenance: {
      ...recorded,
      registry_id: o.registryId,
      actor: o.actor,
      first_event_sequence: firstSequence,
      last_event_sequence: found.last_event_sequence,
    },
  }
}

function toManifestFile(row: FileRow): ManifestFile {
  return {
    relative_path: row.relative_path,
    media_type: row.media_type,
    size_bytes: row.size_bytes,
    digest_algorithm: row.digest_algorithm,
    digest_primary: row.digest_primary,
    digest_sha256: row.digest_sha256,
    content_address: row.content_address,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
  }
}

/** One for each content and backend: the first that was given. */
function toReceipts(locations: readonly LocationRow[]): ManifestReceipt[] {
  const first = new Map<string, LocationRow>()
  for (const location of locations) {
    const key = `${location.content_address} ${location.backend_id}`
    if (!first.has(key)) first.set(key, location)
  }
  return [...first.values()]
    .map(({ content_address, backend_id, object_key, size_bytes, stored_at }) => ({
      content_address,
      backend_id,
      object_key,
      size_bytes,
      stored_at,
    }))
    .sort((a, b) => compareBytes(a.content_address, b.content_address) || compareBytes(a.backend_id, b.backend_id))
}

/** @throws ArtifactError `manifest_too_large` */
function encode(manifest: Manifest): Uint8Array {
  const bytes = encodeManifest(manifest)
  if (bytes.length > manifestBytesMax) throw new ArtifactError('manifest_too_large')
  return bytes
}
