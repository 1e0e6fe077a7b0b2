import type { SpaceState } from '@claudemesh/protocol'
import type { GitSpace } from '../git-space.ts'
import type { Snapshots } from './snapshots.ts'

/** States as they were folded before, from which a fold goes on (07 §5). Each stands at a commit of the log. */
export class FoldedStates {
  readonly #spaceOf: (name: string) => GitSpace
  readonly #snapshots: Snapshots

  constructor(spaceOf: (name: string) => GitSpace, snapshots: Snapshots) {
    this.#spaceOf = spaceOf
    this.#snapshots = snapshots
  }

  /** Null when there is none, or the log does not have its commit. @throws MeshError what reading the log throws */
  async read(name: string): Promise<SpaceState | null> {
    const found = this.#snapshots.readState(name)
    if (found === null || found.commit !== (await this.#commitAt(name, found.state.seq))) return null
    return found.state
  }

  /** @throws MeshError what reading the log throws */
  async write(name: string, state: SpaceState): Promise<void> {
    const commit = await this.#commitAt(name, state.seq)
    if (commit !== null) this.#snapshots.writeState(name, { commit, state })
  }

  async #commitAt(name: string, seq: number): Promise<string | null> {
    const space = this.#spaceOf(name)
    return space.commitAt(await space.latest(), seq)
  }
}
