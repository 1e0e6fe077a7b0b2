import type { Database as Handle } from '@claudemesh/storage'
import type { Listener } from '../spi.ts'
import { readDataVersion } from './statements.ts'

/** How often a listener looks for commits of other processes, and after how long without any it looks less often. */
const lookMs = { busy: 100, quiet: 1_000, quietAfter: 10_000 } as const

/** Commits of this process, told to its listeners at once. */
export class Wakeups {
  readonly #listeners = new Set<() => void>()

  wake(): void {
    for (const listener of this.#listeners) listener()
  }

  add(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

export class SqliteListener implements Listener {
  readonly #handle: Handle
  readonly #forget: () => void
  #version: number
  #quietMs = 0
  #isWoken = false
  #resolve: (() => void) | null = null

  constructor(handle: Handle, wakeups: Wakeups) {
    this.#handle = handle
    this.#version = readDataVersion(handle)
    this.#forget = wakeups.add(() => this.#wake())
  }

  async wait(signal: AbortSignal): Promise<void> {
    while (!this.#isWoken && !signal.aborted) {
      const pauseMs = this.#quietMs < lookMs.quietAfter ? lookMs.busy : lookMs.quiet
      await this.#pause(pauseMs, signal)
      this.#quietMs += pauseMs
      if (!signal.aborted) this.#look()
    }
    this.#isWoken = false
    this.#quietMs = 0
  }

  async close(): Promise<void> {
    this.#forget()
    this.#handle.close()
  }

  #look(): void {
    const version = readDataVersion(this.#handle)
    if (version !== this.#version) this.#isWoken = true
    this.#version = version
  }

  #wake(): void {
    this.#isWoken = true
    this.#resolve?.()
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#resolve = null
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done, { once: true })
      this.#resolve = done
    })
  }
}
