/**
 * Packs together what appends have left in many (07 §3), in the background, by one process at a time.
 *
 * Only packs without `.keep` are touched, in the way of `git repack --geometric`: the small ones become one, nothing is
 * dropped, and the large ones stay as they are, so that each decision is packed again only a few times.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FileLock } from '@claudemesh/storage'
import { git } from './git-command.ts'
import type { PackWriter } from './pack-writer.ts'
import type { Repository } from './repository.ts'

/** So many are left alone: git looks through all of them for each object. */
const packsMax = 50
/** Appends between two looks at how many there are. */
const lookEvery = 64

export class Repacker {
  readonly #repository: Repository
  readonly #packs: PackWriter
  readonly #now: () => number
  #appends = 0
  #running: Promise<void> | null = null

  /** @param o `now`: milliseconds since the epoch */
  constructor(o: { readonly repository: Repository; readonly packs: PackWriter; readonly now: () => number }) {
    this.#repository = o.repository
    this.#packs = o.packs
    this.#now = o.now
  }

  /** Counts an append; begins to repack when it is time. Never throws. */
  appended(): void {
    this.#appends += 1
    if (this.#appends % lookEvery !== 0 || this.#running !== null) return
    const running = this.#repackIfMany().catch(() => {
      // Whatever keeps it from being done, as a full disk: every decision is where it was, and the next look tries again.
    })
    this.#running = running.finally(() => {
      this.#running = null
    })
  }

  /** Until what was begun is over. */
  async settle(): Promise<void> {
    await this.#running
  }

  async #repackIfMany(): Promise<void> {
    const { directory } = this.#repository
    const packs = join(directory, 'objects', 'pack')
    const names = await readdir(packs)
    if (names.filter((name) => name.endsWith('.pack')).length <= packsMax) return
    const turn = FileLock.acquire(join(directory, 'claudemesh', 'repack.lock'))
    if (turn === null) return
    try {
      await this.#packs.removeLeftovers(this.#now())
      // Git syncs the new pack before it removes the old ones, and trusts the file system to keep the order of names.
      await git(directory, ['repack', '--quiet', '--geometric=2', '-d'])
    } finally {
      turn.release()
    }
  }
}
