import { setTimeout as wait } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import { ArtifactError } from '../artifact-error.ts'

/** Runs of one transaction that others get in the way of (06 §7). */
export const attemptsMax = 8

/**
 * Runs a transaction again, apart from the others, as long as somebody else holds what it needs.
 *
 * @throws ArtifactError `busy` when that does not end
 */
export async function retryBusy<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run()
    } catch (error) {
      if (!saysBusy(error)) throw error
      if (attempt === attemptsMax) throw new ArtifactError('busy', { cause: error })
    }
    await wait(Math.random() * Math.min(1_000, 10 * 2 ** attempt))
  }
}

/** What a failure of the database is to a caller of this package. */
export function toUnavailable(error: unknown): unknown {
  if (!(error instanceof MeshError) || error.code !== 'storage_unavailable') return error
  return new ArtifactError('database_unavailable', { detail: error.message, cause: error })
}

function saysBusy(error: unknown): boolean {
  const cause = error instanceof MeshError ? error.cause : error
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') return false
  return cause.code.startsWith('SQLITE_BUSY') || cause.code === '40001' || cause.code === '40P01'
}
