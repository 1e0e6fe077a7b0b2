import { createIdSource } from '@claudemesh/protocol'

/** Time, randomness and ids as one value, so that a test owns them. */
export interface Runtime {
  /** Milliseconds since the epoch (UTC). May step in either direction. */
  now(): number
  /** Milliseconds of a clock that never steps back; only differences mean anything. */
  monotonicMs(): number
  /** A number in [0, 1). Not for secrets. */
  random(): number
  /** A ULID that sorts after every one made before it in this process. */
  nextId(): string
}

/** The clock, randomness and ids of this machine. */
export function systemRuntime(): Runtime {
  const now = () => Date.now()
  return { now, monotonicMs: () => performance.now(), random: () => Math.random(), nextId: createIdSource(now) }
}
