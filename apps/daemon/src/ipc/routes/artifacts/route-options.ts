import type { ArtifactRoom } from '../../../artifacts/artifact-room.ts'
import type { ArtifactStore } from '../../../artifacts/artifact-store.ts'
import type { ArtifactUpkeep } from '../../../artifacts/artifact-upkeep.ts'

/** What every route of artifacts needs. */
export interface ArtifactRouteOptions {
  readonly store: ArtifactStore
  /** The member whose daemon this is: what is asked for here, it does. */
  readonly actor: string
  readonly room: ArtifactRoom
  readonly upkeep: ArtifactUpkeep
  /** Ends what goes on for as long as somebody listens. */
  readonly stopping: AbortSignal
}
