import { setTimeout as pause } from 'node:timers/promises'

/** How often it is asked: asking takes processor from what is waited for, so more rarely the longer it takes. */
const interval = { msMin: 20, msMax: 200, partOfWaited: 0.1 }

/**
 * Waits for a condition: asks again until it gives something other than false, null or undefined, and gives that back.
 * What the condition throws ends the waiting.
 *
 * @param what completes "waited in vain until ..."
 */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  options: { readonly withinMs?: number } = {},
): Promise<Exclude<T, false | null | undefined>> {
  const withinMs = options.withinMs ?? 30_000
  const begun = performance.now()
  for (;;) {
    const found = await condition()
    if (found !== false && found !== null && found !== undefined) {
      return found as Exclude<T, false | null | undefined>
    }
    const waitedMs = performance.now() - begun
    if (waitedMs > withinMs) throw new Error(`waited ${withinMs / 1000} s in vain until ${what}`)
    await pause(Math.min(Math.max(interval.msMin, waitedMs * interval.partOfWaited), interval.msMax))
  }
}
