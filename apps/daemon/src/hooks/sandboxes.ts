import type { Runtime } from '../runtime.ts'
import { probeSandbox, type SandboxKind, type SandboxPlace } from './sandbox.ts'

/** Which sandboxes work on this machine; each is tried once, when it is first asked for. */
export class Sandboxes {
  readonly #place: () => SandboxPlace
  readonly #environment: Readonly<Record<string, string>>
  readonly #runtime: Runtime
  readonly #faults = new Map<SandboxKind, Promise<string | null>>()

  constructor(o: {
    readonly place: () => SandboxPlace
    readonly environment: Readonly<Record<string, string>>
    readonly runtime: Runtime
  }) {
    this.#place = o.place
    this.#environment = o.environment
    this.#runtime = o.runtime
  }

  /** Why one does not work here, or null. */
  findFault(kind: SandboxKind): Promise<string | null> {
    const known = this.#faults.get(kind)
    if (known !== undefined) return known
    const { monotonicMs } = this.#runtime
    const found = probeSandbox(kind, { place: this.#place(), environment: this.#environment, monotonicMs })
    this.#faults.set(kind, found)
    return found
  }

  /** The next question is asked of the machine again. */
  forget(): void {
    this.#faults.clear()
  }
}
