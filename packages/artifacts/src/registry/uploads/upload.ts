/** An upload as callers and the data plane see it. */
import { ArtifactError } from '../../artifact-error.ts'
import type { UploadSoFar } from '../../dataplane/spi.ts'
import { type ContentAddress, formatContentAddress, toDigest } from '../../identity/content-address.ts'
import type { DigestPair } from '../../identity/dual-digest.ts'
import type { FilePlace } from '../ingest/placing.ts'
import { invalid } from '../input.ts'
import type { UploadRow } from './statements.ts'

export interface NewUpload extends Pick<FilePlace, 'relativePath' | 'mediaType' | 'actor'> {
  /** How many bytes there will be, if that is known. */
  readonly sizeBytes?: number
  /** Which bytes they will be; others are `digest_mismatch`. */
  readonly expected?: ContentAddress
}

/** What is said of an upload when all of it is here. */
export interface Completion extends Pick<FilePlace, 'annotations' | 'actor'> {
  /** SHA-256 of the bytes, lower-case hexadecimal digits; others are `digest_mismatch`. */
  readonly expectedSha256?: string
}

export interface Upload {
  readonly uploadId: string
  readonly packageId: string
  readonly relativePath: string
  readonly mediaType: string
  readonly sizeBytes: number | null
  readonly expected: ContentAddress | null
  /** How many bytes are durable: where the next ones go. */
  readonly offset: number
  /** When it ends unless another byte comes, in milliseconds since the epoch, UTC. */
  readonly expiresAt: number
}

/** An upload ends this long after its last byte. */
export const idleMsMax = 24 * 3_600_000
/** An upload ends this long after it was begun. */
export const ageMsMax = 7 * 24 * 3_600_000

export function expiryOf(row: UploadRow): number {
  return Math.min(row.touched_at + idleMsMax, row.created_at + ageMsMax)
}

export function toUpload(row: UploadRow): Upload {
  return {
    uploadId: row.upload_id,
    packageId: row.package_id,
    relativePath: row.relative_path,
    mediaType: row.media_type,
    sizeBytes: row.size_bytes,
    expected: row.expected as ContentAddress | null,
    offset: row.next_offset,
    expiresAt: expiryOf(row),
  }
}

export function soFar(row: UploadRow): UploadSoFar {
  const { upload_id: id, next_offset: offset, expected } = row
  return expected === null ? { id, offset } : { id, offset, algorithm: toDigest(expected as ContentAddress).algorithm }
}

export function offsetMismatch(row: UploadRow, why: string): ArtifactError {
  const { next_offset: offset, size_bytes: sizeBytes } = row
  return new ArtifactError('upload_offset_mismatch', {
    detail: `${offset} bytes are here${sizeBytes === null ? '' : ` of ${sizeBytes}`}: ${why}.`,
    data: { offset },
  })
}

/** What is wrong with bytes that are not those that were announced; null: nothing. */
export function mismatchOf(
  { expected }: UploadRow,
  { primary, sha256, expectedSha256 = sha256.hex }: DigestPair & { readonly expectedSha256: string | undefined },
): ArtifactError | null {
  const address = formatContentAddress(primary)
  const isExpected = (expected === null || expected === address) && expectedSha256 === sha256.hex
  if (isExpected) return null
  const detail = `The bytes are those of ${address} and sha256:${sha256.hex}, which is not what was announced.`
  return new ArtifactError('digest_mismatch', { detail })
}

/** @throws ArtifactError `invalid_request`, `too_large` */
export function checkSize(sizeBytes: number | undefined, fileBytesMax: number): number | null {
  if (sizeBytes === undefined) return null
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw invalid('sizeBytes', 'is a number of bytes')
  if (sizeBytes > fileBytesMax) throw tooLarge(fileBytesMax)
  return sizeBytes
}

export function tooLarge(fileBytesMax: number): ArtifactError {
  return new ArtifactError('too_large', { detail: `A file has at most ${fileBytesMax} bytes.` })
}
