import { setTimeout as delay } from 'node:timers/promises'

/** Time and chance, passed in so that a test owns them. */
export interface ClientRuntime {
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds of a clock that never steps back. */
  monotonicMs(): number
  /** In [0, 1). */
  random(): number
  /** @throws the signal's reason when it fires first */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>
}

export function systemRuntime(): ClientRuntime {
  return {
    now: Date.now,
    monotonicMs: () => performance.now(),
    random: Math.random,
    async sleep(ms, signal) {
      try {
        await delay(ms, undefined, signal === undefined ? {} : { signal })
      } catch (cause) {
        signal?.throwIfAborted()
        throw cause
      }
    },
  }
}
