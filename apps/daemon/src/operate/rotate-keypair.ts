/**
 * New keys for the member while its daemon runs (05 §5): on the disk first, then in force here, then to the broker with
 * the next hello, which passes the new chain on to the peers.
 *
 * What can fail does so before anything is in force. A kill in between is finished by the next start, see the identity
 * package's rotation-intent.ts.
 */
import { beginRotation, generateMemberKeys, type Rotated, type RotationPaths } from '@claudemesh/identity'
import { MeshError } from '@claudemesh/protocol'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'

export interface RotationParts {
  readonly paths: RotationPaths
  /** Puts into force what is on the disk. */
  readonly takeOver: (rotated: Rotated, now: number) => void
  /** Says hello to the broker with it. */
  readonly renewLink: () => void
  readonly runtime: Runtime
  readonly log: Log
}

/**
 * @throws MeshError `rotation_impossible`; `insufficient_storage`, `storage_failed` and others of the disk: then the
 *   member has the keys that it had
 */
export function rotateKeypair({ paths, takeOver, renewLink, runtime, log }: RotationParts): Rotated {
  const now = runtime.now()
  const rotated = toMeshErrors(() => beginRotation(paths, { newKeys: generateMemberKeys(), now }))
  takeOver(rotated, now)
  renewLink()
  const [certificate] = rotated.chain
  const epoch = certificate?.kind === 'member' ? certificate.epoch : null
  log.info({ epoch, quarantined: rotated.quarantined }, 'keypair_rotated')
  return rotated
}

/** A full or failing disk is what the caller can do something about; it is told so and not of a fault of ours. */
function toMeshErrors<Result>(run: () => Result): Result {
  try {
    return run()
  } catch (error) {
    if (error instanceof MeshError || !(error instanceof Error) || !('syscall' in error)) throw error
    throw new MeshError('storage_failed', { detail: `the keys were not rotated: ${error.message}`, cause: error })
  }
}
