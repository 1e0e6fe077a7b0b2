/** Tells whoever watches a branch that it is worth looking again. */
import { setTimeout as pause } from 'node:timers/promises'

/** How often a watched branch is looked at, for what other processes append. */
const watchIntervalMs = 200

export class Changes {
  readonly #wakers = new Set<() => void>()

  /** This process has changed something. */
  tell(): void {
    for (const wake of [...this.#wakers]) wake()
  }

  /** Until this process changes something, it is time to look at the branch again, or the signal aborts. */
  async next(signal: AbortSignal): Promise<void> {
    const timer = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.#wakers.add(resolve)
      timer.signal.addEventListener('abort', () => this.#wakers.delete(resolve))
    })
    const stop = AbortSignal.any([signal, timer.signal])
    await Promise.race([woken, pause(watchIntervalMs, undefined, { signal: stop }).catch(() => undefined)])
    timer.abort()
  }
}
