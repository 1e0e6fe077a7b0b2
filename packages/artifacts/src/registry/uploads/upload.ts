/** An upload as callers and the data plane see it. */
import { ArtifactError } from '../../artifact-error.ts'
import type { UploadSoFar } from '../../dataplane/spi.ts'
import { type ContentAddress, toDigest } from '../../identity/content-address.ts'
import type { FilePlace } from '../ingest/placing.ts'
import { invalid } from '../input.ts'
import type { UploadRow } from './statements.ts'

export interface NewUpload extends Pick<FilePlace, 'relativePath' | 'mediaType' | 'actor'> {
  /** How many bytes there will be, if that is known. */
  readonly sizeBytes?: number
  /** Which bytes they will be; others are `digest_mismatch`. */
  readonly expected?: ContentAddress
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
