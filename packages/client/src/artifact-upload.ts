import type { Readable } from 'node:stream'

/** A file whose bytes are sent. */
export interface ArtifactUpload {
  readonly relativePath: string
  /** application/octet-stream when it is not given. */
  readonly mediaType?: string
  /** How many bytes there are, when that is known. */
  readonly sizeBytes?: number
  /** Lower-case hexadecimal digits; other bytes are refused. */
  readonly sha256?: string
  /** Whether it takes the place of a file that has this path. */
  readonly replace?: boolean
  /** Begins to read the bytes. */
  readonly open: () => Readable
  /** Whether they can be read again from the beginning, when a daemon that is busy or restarts has to be asked again. */
  readonly reopens: boolean
  readonly idempotencyKey?: string
}

/** RFC 9530. @param sha256 lower-case hexadecimal digits */
export function reprDigest(sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`
}
