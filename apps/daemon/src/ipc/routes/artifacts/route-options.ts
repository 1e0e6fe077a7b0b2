import type { KeyLookUp } from '@claudemesh/artifacts'
import type { SigningKeyPair } from '@claudemesh/identity'
import type { ArtifactRoom } from '../../../artifacts/artifact-room.ts'
import type { ArtifactStore } from '../../../artifacts/artifact-store.ts'
import type { ArtifactUpkeep } from '../../../artifacts/artifact-upkeep.ts'

/** With what this daemon signs, and whose signatures it believes. */
export interface PackageSigner {
  /** Those in force: a rotation gives others. */
  readonly keys: () => SigningKeyPair
  readonly standing: KeyLookUp
}

/** What every route of artifacts needs. */
export interface ArtifactRouteOptions {
  readonly store: ArtifactStore
  /** The member whose daemon this is: what is asked for here, it does. */
  readonly actor: string
  readonly signer: PackageSigner
  readonly room: ArtifactRoom
  readonly upkeep: ArtifactUpkeep
  /** Ends what goes on for as long as somebody listens. */
  readonly stopping: AbortSignal
}
