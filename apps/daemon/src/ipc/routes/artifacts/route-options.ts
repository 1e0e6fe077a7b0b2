import type { ArtifactStore } from '../../../artifacts/artifact-store.ts'

/** What every route of artifacts needs. */
export interface ArtifactRouteOptions {
  readonly artifacts: ArtifactStore
  /** The member whose daemon this is: what is asked for here, it does. */
  readonly actor: string
  /** Milliseconds since the epoch by which it is judged what is past its expiry. */
  readonly retentionNow: () => number
  /** Ends what goes on for as long as somebody listens. */
  readonly stopping: AbortSignal
}
