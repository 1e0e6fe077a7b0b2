import { encodeCanonical } from '../canon/cbor.ts'
import { type ContentAddress, formatContentAddress } from '../identity/content-address.ts'
import { digestBytes } from '../identity/dual-digest.ts'
import type { ManifestFile } from './manifest-schema.ts'

/**
 * The address of a tree: BLAKE3 of the canonical CBOR of what tells its files apart, in the order of their paths. Equal
 * trees have equal roots on every host, which the digest of a manifest, naming ids and times, has not.
 */
export function contentRoot(files: readonly ManifestFile[]): ContentAddress {
  const rows = files.map((file) => [file.relative_path, file.size_bytes, file.digest_sha256, file.content_address])
  return formatContentAddress(digestBytes(encodeCanonical(rows), { primary: 'blake3' }).primary)
}
