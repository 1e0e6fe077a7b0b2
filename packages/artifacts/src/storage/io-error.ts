import { ArtifactError } from '../artifact-error.ts'

/**
 * What a failure of the file system means to a caller. Messages name no path: they travel to other hosts, and the cause,
 * which stays here, has it.
 */
export function toArtifactError(error: unknown): unknown {
  const code = errnoOf(error)
  if (code === null || error instanceof ArtifactError) return error
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new ArtifactError('insufficient_storage', { detail: 'The disk is full.', cause: error })
  }
  return new ArtifactError('storage_io', { detail: `The disk failed (${code}).`, cause: error })
}

/** The code of an error of the operating system, or null for another one. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || !('errno' in error)) return null
  return typeof error.code === 'string' ? error.code : null
}
