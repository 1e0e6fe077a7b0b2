/**
 * Whether the log of a shared space is another one here than where it is shared. Once that was found nothing is added to it; it is
 * compared again when it may be otherwise by now.
 */
import { MeshError } from '@claudemesh/protocol'
import type { Log } from '../log.ts'

export interface DivergenceOptions {
  readonly space: string
  /** Gets what the others have; what differs is told to `found`. @throws MeshError when that cannot be had */
  readonly follow: () => Promise<unknown>
  readonly log: Log
}

export class Divergence {
  readonly #o: DivergenceOptions
  #found: MeshError | null = null
  #comparing: Promise<void> | null = null
  /** As far as the comparison that goes on has come. */
  #isInLine = true

  constructor(o: DivergenceOptions) {
    this.#o = o
  }

  /** `space_diverged`, as it was found last; null: nothing differs, as far as is known. */
  get error(): MeshError | null {
    return this.#found
  }

  /** A decision differs. */
  found(error: MeshError): void {
    if (this.#found === null) this.#o.log.error({ space: this.#o.space, err: error }, 'space_diverged')
    this.#found = error
    this.#isInLine = false
  }

  /** @throws MeshError `space_diverged`: it is another log still, as far as can be told */
  async compare(): Promise<void> {
    if (this.#found === null) return
    this.#comparing ??= this.#compare().finally(() => {
      this.#comparing = null
    })
    await this.#comparing
    if (this.#found !== null) throw this.#found
  }

  async #compare(): Promise<void> {
    const { space, follow, log } = this.#o
    this.#isInLine = true
    try {
      await follow()
    } catch (error) {
      // What could not be compared is as it was.
      if (!(error instanceof MeshError)) throw error
      this.#isInLine = false
    }
    if (!this.#isInLine) return
    this.#found = null
    log.info({ space }, 'space_in_line')
  }
}
