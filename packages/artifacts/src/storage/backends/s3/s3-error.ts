import { ArtifactError } from '../../../artifact-error.ts'
import { toArtifactError } from '../../io-error.ts'

/** How a server and the SDK tell of a failure. */
interface ServiceFailure {
  /** The code of the error in the answer, as in `NoSuchKey`. */
  readonly name: string
  /** Undefined: there was no answer. */
  readonly status: number | undefined
}

const fullNames = new Set(['QuotaExceeded', 'InsufficientStorage', 'XMinioStorageFull', 'EntityTooLarge'])

/** What a failure means to a caller. Messages name no host and no bucket; the cause, which stays here, has them. */
export function toS3Error(error: unknown): unknown {
  if (error instanceof ArtifactError) return error
  const { name, status } = describeFailure(error)
  if (fullNames.has(name) || status === 507) {
    return new ArtifactError('insufficient_storage', { detail: 'The object store takes no more bytes.', cause: error })
  }
  if (name === 'NoSuchKey' || (name === 'NotFound' && status === 404)) {
    return new ArtifactError('object_not_found', { cause: error })
  }
  // It is in a class of storage that has to be asked for it first.
  if (name === 'InvalidObjectState') return new ArtifactError('restore_required', { cause: error })
  if (status === undefined && !isNetworkFailure(error)) return toArtifactError(error)
  const said = status === undefined ? 'It cannot be reached.' : `It answered ${status} ${name}.`
  return new ArtifactError('backend_unavailable', { detail: `The object store cannot be used. ${said}`, cause: error })
}

function describeFailure(error: unknown): ServiceFailure {
  if (!(error instanceof Error)) return { name: 'Unknown', status: undefined }
  const metadata = '$metadata' in error ? (error.$metadata as { readonly httpStatusCode?: number }) : {}
  return { name: error.name, status: metadata.httpStatusCode }
}

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
])

function isNetworkFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (
    error.name === 'TimeoutError' ||
    error.name === 'AbortError' ||
    ('code' in error && networkCodes.has(String(error.code)))
  )
}
