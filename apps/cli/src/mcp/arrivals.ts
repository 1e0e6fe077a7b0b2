/**
 * Tells when something came into the inbox. The daemon's events are followed for as long as the server runs, also across
 * restarts of the daemon and while there is none.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { MeshClient } from '@claudemesh/client'

const withoutDaemonPauseMs = 2_000

export class Arrivals {
  readonly #client: MeshClient
  readonly #signal: AbortSignal
  readonly #listeners = new Set<() => void>()

  /** @param signal ends it */
  constructor(client: MeshClient, signal: AbortSignal) {
    this.#client = client
    this.#signal = signal
    void this.#follow()
  }

  /** Calls `listener` after each arrival, and whenever some may have been missed. @returns what ends that */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #follow(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        const events = this.#client.events({
          types: ['message', 'inbox_rebuilt'],
          signal: this.#signal,
          onConnected: () => this.#tell(),
        })
        for await (const _ of events) this.#tell()
      } catch {
        // No daemon answers; the calls of the agent say so and what to do. Its inbox is read again once one is there.
        await pause(withoutDaemonPauseMs, undefined, { signal: this.#signal }).catch(() => undefined)
      }
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
