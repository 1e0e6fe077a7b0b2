/**
 * The directories that objects are spread over: `<root>/<algorithm>/<aa>/<bb>`.
 *
 * A directory is durable once the one above it was synced after it was made. Which are is remembered, so that all but the
 * first object of a directory cost one sync of a directory and not four.
 */
import { mkdir, realpath, rmdir } from 'node:fs/promises'
import { ArtifactError } from '../../../artifact-error.ts'
import { errnoOf } from '../../io-error.ts'

export class Shards {
  readonly #durable = new Set<string>()

  /**
   * Makes the directories, outermost first, as far as they are missing; each has the one before it above it.
   *
   * @returns those that are not known to be durable: the ones above them are to be synced
   */
  async ensure(shards: readonly string[]): Promise<readonly string[]> {
    // Also those that were there: whoever made them may not have come to the sync, and must not be relied on.
    const made = shards.filter((path) => !this.#durable.has(path))
    for (const path of made) {
      try {
        await mkdir(path, { mode: 0o700 })
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error
        await assertDirectory(path)
      }
    }
    return made
  }

  /** The directories above these were synced after they were made. */
  noteDurable(shards: readonly string[]): void {
    for (const path of shards) this.#durable.add(path)
  }

  /** Removes those that are empty, innermost first. One that is filled meanwhile stays. */
  async removeEmpty(shards: readonly string[]): Promise<void> {
    for (const path of shards.toReversed()) {
      this.#durable.delete(path)
      try {
        await rmdir(path)
      } catch (error) {
        const code = errnoOf(error)
        if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOENT') return
        throw error
      }
    }
  }

  /** Makes them again at the next `ensure`: somebody else has removed one. */
  forget(shards: readonly string[]): void {
    for (const path of shards) this.#durable.delete(path)
  }
}

/**
 * Refuses a directory that is reached through a symbolic link: what is written there would be somewhere else.
 *
 * @throws ArtifactError `storage_io`; ENOENT as it is
 */
export async function assertDirectory(path: string): Promise<void> {
  if ((await realpath(path)) !== path) {
    throw new ArtifactError('storage_io', {
      reason: 'symbolic_link',
      detail: 'There is a symbolic link in the tree of the artifacts; nothing is read or written through it.',
    })
  }
}
