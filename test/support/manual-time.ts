import { createIdSource } from '@claudemesh/protocol'
import type { Runtime } from '../../packages/sinks/src/index.ts'

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/** A clock that stands until a test moves it, and that ends the sleeps whose time has come. */
export class ManualTime implements Runtime {
  time = Date.UTC(2026, 0, 1)
  /** How long each sleep was to be, in order. */
  readonly sleeps: number[] = []
  readonly #sleepers = new Set<Sleeper>()
  readonly nextId = createIdSource(() => this.time)
  readonly now = () => this.time
  readonly random = () => 0.5

  readonly sleep = (ms: number, signal: AbortSignal): Promise<void> => {
    this.sleeps.push(ms)
    return new Promise((resolve, reject) => {
      const sleeper = { until: this.time + ms, wake: resolve }
      this.#sleepers.add(sleeper)
      signal.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason)
      })
      if (signal.aborted) reject(signal.reason)
    })
  }

  advance(ms: number): void {
    this.time += ms
    for (const sleeper of [...this.#sleepers].filter(({ until }) => until <= this.time)) {
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
  }
}
