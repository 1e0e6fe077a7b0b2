import { setTimeout as delay } from 'node:timers/promises'
import { createIdSource } from '@claudemesh/protocol'

/** Time, chance and ids, so that whoever runs sinks owns them. */
export interface Runtime {
  /** Milliseconds since the epoch, UTC. */
  now(): number
  /** In [0, 1). */
  random(): number
  /** A new ULID. */
  nextId(): string
  /** @throws the signal's reason when it fires first */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export function systemRuntime(): Runtime {
  const now = () => Date.now()
  return { now, random: () => Math.random(), nextId: createIdSource(now), sleep }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (cause) {
    signal.throwIfAborted()
    throw cause
  }
}
