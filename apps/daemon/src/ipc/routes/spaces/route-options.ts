import type { SharedSpaces } from '../../../decide/shared-spaces.ts'
import type { DecisionKeys } from '../../../spaces/signatures.ts'
import type { Spaces } from '../../../spaces/spaces.ts'
import type { EventStreams } from '../../sse.ts'

/** What every route of spaces needs. */
export interface SpaceRouteOptions {
  readonly spaces: Spaces
  readonly shared: SharedSpaces
  /** The member whose daemon this is: what is decided here, it decides. */
  readonly actor: string
  readonly keys: DecisionKeys
  readonly nextId: () => string
  /** Whoever watches is counted with whoever follows events. */
  readonly streams: EventStreams
  /** Ends what goes on for as long as somebody listens. */
  readonly stopping: AbortSignal
}
