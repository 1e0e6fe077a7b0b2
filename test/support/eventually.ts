import { setTimeout as pause } from 'node:timers/promises'

const intervalMs = 20

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
  const deadline = performance.now() + withinMs
  for (;;) {
    const found = await condition()
    if (found !== false && found !== null && found !== undefined) {
      return found as Exclude<T, false | null | undefined>
    }
    if (performance.now() > deadline) throw new Error(`waited ${withinMs / 1000} s in vain until ${what}`)
    await pause(intervalMs)
  }
}
