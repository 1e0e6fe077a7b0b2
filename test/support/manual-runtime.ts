import { createIdSource } from '@claudemesh/protocol'
import type { Runtime } from '../../apps/daemon/src/runtime.ts'

/** A runtime whose clock stands until a test moves it, and whose random numbers are the test's. */
export class ManualRuntime implements Runtime {
  time = Date.UTC(2026, 0, 1)
  fraction = 0.5
  readonly nextId = createIdSource(() => this.time)
  readonly now = () => this.time
  readonly monotonicMs = () => this.time
  readonly random = () => this.fraction

  advance(ms: number): void {
    this.time += ms
  }
}
