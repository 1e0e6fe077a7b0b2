/**
 * What holds of every manifest beyond its form (06 §4): its addresses and digests agree, its counts add up, its orders
 * hold, its paths may stand in one package, each content has a receipt, and its root is that of its files.
 */
import { ArtifactError } from '../artifact-error.ts'
import { formatContentAddress, makeDigest, parseContentAddress } from '../identity/content-address.ts'
import { PathSet } from '../paths/path-conflicts.ts'
import { normalizeRelativePath, type PathPolicy } from '../paths/relative-path.ts'
import { contentRoot } from './content-root.ts'
import type { Manifest, ManifestFile, ManifestReceipt } from './manifest-schema.ts'

/** @throws ArtifactError `manifest_invalid` with the path of the first fault */
export function checkManifest(manifest: Manifest): void {
  const { files, storage_receipts: receipts } = manifest
  checkFiles(files, manifest.package.path_policy)
  checkReceipts(receipts)
  checkContents(files, receipts)
  checkPackage(manifest)
}

/** The error of a manifest that says what cannot be. */
export function manifestInvalid(path: string, fault: string, cause?: unknown): ArtifactError {
  return new ArtifactError('manifest_invalid', { path, detail: `The manifest is not valid: ${path} ${fault}.`, cause })
}

function checkFiles(files: readonly ManifestFile[], policy: PathPolicy): void {
  const paths = new PathSet()
  files.forEach((file, index) => {
    const path = `$.files[${index}]`
    const before = files[index - 1]
    if (before !== undefined && compareBytes(before.relative_path, file.relative_path) >= 0) {
      throw manifestInvalid(`${path}.relative_path`, 'does not sort after the path before it')
    }
    at(`${path}.relative_path`, () => {
      const normal = normalizeRelativePath(file.relative_path, policy)
      if (normal.relative_path !== file.relative_path) throw new Error('it is not in normalisation form C')
      const conflict = paths.add(normal)
      if (conflict !== null) throw new Error(`it cannot stand beside another path (${conflict})`)
    })
    at(`${path}.content_address`, () => parseContentAddress(file.content_address))
    at(`${path}.digest_primary`, () => {
      const digest = makeDigest(file.digest_algorithm, file.digest_primary)
      if (formatContentAddress(digest) !== file.content_address) throw new Error('it is not that of the address')
      if (digest.algorithm === 'sha256' && digest.hex !== file.digest_sha256) throw new Error('it is another SHA-256')
    })
  })
}

function checkReceipts(receipts: readonly ManifestReceipt[]): void {
  receipts.forEach((receipt, index) => {
    const path = `$.storage_receipts[${index}]`
    at(`${path}.content_address`, () => parseContentAddress(receipt.content_address))
    const before = receipts[index - 1]
    if (before === undefined) return
    const order =
      compareBytes(before.content_address, receipt.content_address) ||
      compareBytes(before.backend_id, receipt.backend_id)
    if (order >= 0) throw manifestInvalid(path, 'does not sort after the receipt before it')
  })
}

/** Files and receipts of one content say the same of it, and no content is without a receipt. */
function checkContents(files: readonly ManifestFile[], receipts: readonly ManifestReceipt[]): void {
  const sizes = new Map(receipts.map((receipt) => [receipt.content_address, receipt.size_bytes]))
  const digests = new Map<string, string>()
  files.forEach((file, index) => {
    const path = `$.files[${index}]`
    const size = sizes.get(file.content_address)
    if (size === undefined) throw manifestInvalid(`${path}.content_address`, 'has no storage receipt')
    if (size !== file.size_bytes) throw manifestInvalid(`${path}.size_bytes`, 'is not that of its storage receipt')
    const sha256 = digests.get(file.content_address)
    if (sha256 !== undefined && sha256 !== file.digest_sha256) {
      throw manifestInvalid(`${path}.digest_sha256`, 'is not that of another file with the same content address')
    }
    digests.set(file.content_address, file.digest_sha256)
  })
  receipts.forEach((receipt, index) => {
    if (sizes.get(receipt.content_address) !== receipt.size_bytes) {
      throw manifestInvalid(`$.storage_receipts[${index}].size_bytes`, 'is not that of another receipt of the content')
    }
  })
}

function checkPackage(manifest: Manifest): void {
  const { package: head, files, retention_summary: retention, provenance } = manifest
  const total = files.reduce((sum, file) => sum + file.size_bytes, 0)
  if (head.file_count !== files.length) throw manifestInvalid('$.package.file_count', 'is not the number of files')
  if (head.total_size_bytes !== total)
    throw manifestInvalid('$.package.total_size_bytes', 'is not the sum of the sizes')
  if (head.content_root !== contentRoot(files))
    throw manifestInvalid('$.package.content_root', 'is not that of the files')
  if (retention.retention_class !== head.retention_class) {
    throw manifestInvalid('$.retention_summary.retention_class', 'is not that of the package')
  }
  if (provenance.first_event_sequence > provenance.last_event_sequence) {
    throw manifestInvalid('$.provenance.last_event_sequence', 'is before the first')
  }
}

/** Order of two texts by their UTF-8 bytes, which is not that of their UTF-16 units. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function at(path: string, check: () => unknown): void {
  try {
    check()
  } catch (cause) {
    throw manifestInvalid(path, `cannot be: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
}
