/**
 * What a log that has lost events still says of finalized packages: a manifest names all that is in one. What is missing is
 * written again, at the end of the log and with the time of the recovery, as what it is: something that the recovery did.
 */

import type { Tx } from '../db/spi.ts'
import { type Event, type NewEvent, payloadOf } from '../events/event.ts'
import { writeEvents } from '../events/log.ts'
import { findEvent } from '../events/statements.ts'
import { parseContentAddress } from '../identity/content-address.ts'
import type { Manifest, ManifestFile } from '../manifest/manifest-schema.ts'
import { normalizeRelativePath } from '../paths/relative-path.ts'
import { type Content, ingestedEvent } from '../registry/ingest/content.ts'
import { type FileRow, pageFiles } from '../registry/statements.ts'
import type { Runtime } from '../runtime.ts'
import { hasPackage, listFinalized, listWithoutRetention } from './statements.ts'

const actor = 'recover'
const reason = 'The events that said so are lost.'
const pageRows = 500

/** @returns how many events were written */
export async function restorePackages(
  tx: Tx,
  o: { readonly rootless: readonly Event[]; readonly runtime: Runtime },
): Promise<number> {
  let written = 0
  const write = async (events: readonly NewEvent[]) => {
    if (events.length > 0) await writeEvents(tx, events, o.runtime.now())
    written += events.length
  }
  for (const event of o.rootless) {
    const { event_type, subject_id, payload } = event
    if (event_type === 'v1.package.finalized') await write([createdEvent(manifestOf(event))])
    // The signature of a package whose manifest is lost, too, belongs to nothing.
    if (!(await hasPackage(tx, subject_id))) continue
    await write([{ event_type, subject_kind: 'package', subject_id, actor: event.actor, payload }])
  }
  for (const packageId of await listFinalized(tx)) {
    const event = await findEvent(tx, { kind: 'package', id: packageId, type: 'v1.package.finalized' })
    if (event !== null) await write(await missingFiles(tx, manifestOf(event), o.runtime))
  }
  for (const found of await listWithoutRetention(tx)) {
    const { package_id, retention_class, created_at, seconds } = found
    const subject = { subject_kind: 'package' as const, subject_id: package_id, actor }
    const expires_at = seconds === null ? null : created_at + seconds * 1000
    const payload = {
      package_id,
      retention_class,
      default_duration_seconds: seconds,
      anchor_at: created_at,
      expires_at,
    }
    await write([{ event_type: 'v1.retention.default_applied', ...subject, payload }])
  }
  return written
}

function manifestOf(event: Event): Manifest {
  return payloadOf(event) as unknown as Manifest
}

function createdEvent({ package: found, provenance }: Manifest): NewEvent {
  const { package_id, name, producer, subject, retention_class, artifact_type, path_policy, metadata, annotations } =
    found
  const { tool, run_id, repository, commit, environment, imported_from } = provenance
  return {
    event_type: 'v1.package.created',
    subject_kind: 'package',
    subject_id: package_id,
    actor,
    payload: {
      package_id,
      ...{ name, producer, subject, retention_class, artifact_type, path_policy, metadata, annotations },
      metadata_schema: null,
      provenance: { tool, run_id, repository, commit, environment, imported_from },
    },
  }
}

/** What makes the files of a package those of its manifest. */
async function missingFiles(tx: Tx, manifest: Manifest, runtime: Runtime): Promise<readonly NewEvent[]> {
  const live = await liveFiles(tx, manifest.package.package_id)
  const named = new Set(manifest.files.map(({ relative_path }) => relative_path))
  const removed = [...live.values()].filter(({ relative_path }) => !named.has(relative_path))
  const added = manifest.files.filter(
    ({ relative_path, content_address }) => live.get(relative_path)?.content_address !== content_address,
  )
  return [
    ...removed.map(removedEvent),
    ...added.map((file) => addedEvent(file, { manifest, replaced: live.get(file.relative_path), runtime })),
  ]
}

async function liveFiles(tx: Tx, packageId: string): Promise<ReadonlyMap<string, FileRow>> {
  const live = new Map<string, FileRow>()
  let after = ''
  for (let page: readonly FileRow[] | null = null; page === null || page.length === pageRows; ) {
    page = await pageFiles(tx, { packageId, after, limit: pageRows })
    for (const file of page) live.set(file.relative_path, file)
    after = page.at(-1)?.relative_path ?? after
  }
  return live
}

function removedEvent({ package_id, file_id }: FileRow): NewEvent {
  const subject = { subject_kind: 'file' as const, subject_id: file_id, actor }
  return { event_type: 'v1.file.removed', ...subject, payload: { package_id, file_id, reason } }
}

function addedEvent(
  file: ManifestFile,
  o: { readonly manifest: Manifest; readonly replaced: FileRow | undefined; readonly runtime: Runtime },
): NewEvent {
  const { package_id, path_policy } = o.manifest.package
  const receipts = o.manifest.storage_receipts.filter(({ content_address }) => content_address === file.content_address)
  const content: Content = {
    address: parseContentAddress(file.content_address),
    algorithm: file.digest_algorithm,
    primary: file.digest_primary,
    sha256: file.digest_sha256,
    sizeBytes: file.size_bytes,
    deduplicated: true,
    locations: receipts.map((receipt) => ({ ...receipt, retrieval_tier: 'hot' })),
  }
  const path = normalizeRelativePath(file.relative_path, path_policy)
  const { media_type: mediaType, annotations } = file
  const replacedFileId = o.replaced?.file_id ?? null
  return ingestedEvent(
    { packageId: package_id, path, mediaType, annotations, content, replacedFileId, actor },
    o.runtime.nextId,
  )
}
