/** What may be shared: a file that is here, or a package that does not change any more. */
import { posix } from 'node:path'
import { ArtifactError } from '../artifact-error.ts'
import type { EventLog } from '../events/event-log.ts'
import { findEvent } from '../events/statements.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import { digestBytes } from '../identity/dual-digest.ts'
import { requirePackage } from '../registry/package.ts'
import { findFile } from '../registry/statements.ts'
import type { SharedContent } from './share.ts'

export interface Shareable {
  readonly content: SharedContent
  readonly package_id: string
  readonly file_id: string | null
}

/** @throws ArtifactError `file_not_found`, `package_not_found`, `not_finalized` */
export function findShareable(
  log: EventLog,
  what: { readonly fileId: string } | { readonly packageId: string },
): Promise<Shareable> {
  return 'fileId' in what ? findShareableFile(log, what.fileId) : findShareablePackage(log, what.packageId)
}

async function findShareableFile(log: EventLog, fileId: string): Promise<Shareable> {
  const file = await log.read((session) => findFile(session, fileId))
  if (file === null) throw new ArtifactError('file_not_found')
  const content = {
    name: posix.basename(file.relative_path),
    mediaType: file.media_type,
    sizeBytes: file.size_bytes,
    contentAddress: file.content_address as ContentAddress,
    sha256: file.digest_sha256,
    manifestDigest: null,
  }
  return { content, package_id: file.package_id, file_id: fileId }
}

async function findShareablePackage(log: EventLog, packageId: string): Promise<Shareable> {
  const { found, finalized } = await log.read(async (session) => ({
    found: await requirePackage(session, packageId),
    finalized: await findEvent(session, { kind: 'package', id: packageId, type: 'v1.package.finalized' }),
  }))
  const manifestDigest = found.manifest_digest as ContentAddress | null
  if (finalized === null || manifestDigest === null) throw new ArtifactError('not_finalized')
  const content = {
    name: found.name,
    mediaType: found.artifact_type,
    sizeBytes: found.total_size_bytes,
    contentAddress: manifestDigest,
    sha256: digestBytes(finalized.payload).sha256.hex,
    manifestDigest,
  }
  return { content, package_id: packageId, file_id: null }
}
