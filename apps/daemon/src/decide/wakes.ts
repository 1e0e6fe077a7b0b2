import { setTimeout as pause } from 'node:timers/promises'

/** Tells whoever waits that something has changed; what it was they look up for themselves. */
export class Wakes {
  readonly #waiting = new Set<() => void>()

  wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves with the next `wake`, or after so long. */
  async next(waitMs: number): Promise<void> {
    const timer = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.#waiting.add(resolve)
      timer.signal.addEventListener('abort', () => this.#waiting.delete(resolve))
    })
    await Promise.race([woken, pause(waitMs, undefined, { signal: timer.signal, ref: false }).catch(() => undefined)])
    timer.abort()
  }
}
