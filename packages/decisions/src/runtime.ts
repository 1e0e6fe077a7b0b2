import { createIdSource } from '@claudemesh/protocol'

/** Time and ids, so that whoever opens a log owns them. */
export interface Runtime {
  /** Milliseconds since the epoch, UTC. */
  readonly now: () => number
  /** A new ULID. */
  readonly nextId: () => string
}

export function systemRuntime(): Runtime {
  const now = () => Date.now()
  return { now, nextId: createIdSource(now) }
}
