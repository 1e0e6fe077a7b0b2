/**
 * Objects on their way into a repository: one pack for each batch.
 *
 * 1. When `write` returns, the objects and their names survive a power cut, and git finds them.
 * 2. Nothing refers to them yet, and a `git gc --prune=now` of anybody at this moment would take objects away that nothing
 *    refers to. A `.keep` beside the pack, written before git can see it, makes every git leave it alone until `release`.
 * 3. A pack of decisions is never removed here, also when no ref will lead to it: a repack of somebody else may have left objects to it
 *    that are also in another one. Whoever repacks without its `.keep` finds out what of it is needed.
 * 4. Whoever is killed in between leaves a pack that nothing refers to, and perhaps its `.keep`, which `removeLeftovers`
 *    takes away.
 */
import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crashPoint, syncDirectory, toStorageError } from '@claudemesh/storage'
import type { GitObject } from './git-object.ts'
import { encodePack } from './pack.ts'
import type { Repository } from './repository.ts'

/** Objects that are durable and kept from garbage collection. */
export interface WrittenPack {
  /** A ref leads to the objects now, or none ever will: who repacks need not leave them alone any more. */
  release(): Promise<void>
  /** Nothing leads to any of the objects any more, and nobody else has written them. */
  remove(): Promise<void>
}

/** Files of packs that are not complete; no git knows this ending. */
const unfinishedEnding = '.claudemesh'
/** What was left for so long belongs to nobody who is still at it. */
const leftoverMsMin = 24 * 3_600_000
const keepReason = 'claudemesh: a ref is about to lead here\n'

export class PackWriter {
  readonly #repository: Repository
  readonly #directory: string

  constructor(repository: Repository) {
    this.#repository = repository
    this.#directory = join(repository.directory, 'objects', 'pack')
  }

  /** @throws MeshError `insufficient_storage`, `storage_failed`: nothing was added */
  async write(objects: readonly GitObject[]): Promise<WrittenPack> {
    const { pack, index } = encodePack(this.#repository.format, objects)
    // Not named by its content: two who write the same objects must not have one `.keep`.
    const path = join(this.#directory, `pack-${randomBytes(20).toString('hex')}`)
    try {
      await writeFile(`${path}.keep`, keepReason, { mode: 0o600 })
      await Promise.all([
        writeSynced(`${path}.pack${unfinishedEnding}`, pack),
        writeSynced(`${path}.idx${unfinishedEnding}`, index),
      ])
      crashPoint('decisions.pack.written')
      await rename(`${path}.pack${unfinishedEnding}`, `${path}.pack`)
      // Git looks for indexes: from this one on it sees the pack.
      await rename(`${path}.idx${unfinishedEnding}`, `${path}.idx`)
      syncDirectory(this.#directory)
      crashPoint('decisions.pack.synced')
    } catch (error) {
      for (const ending of ['.idx', '.pack']) await rm(`${path}${ending}${unfinishedEnding}`, { force: true })
      await rm(`${path}.keep`, { force: true })
      throw toStorageError(error, this.#directory)
    }
    const removeFiles = async (...endings: readonly string[]) => {
      for (const ending of endings) await rm(`${path}${ending}`, { force: true })
    }
    return { release: () => removeFiles('.keep'), remove: () => removeFiles('.idx', '.pack', '.keep') }
  }

  /**
   * Removes what killed processes have left a day ago or earlier.
   *
   * @param now milliseconds since the epoch
   */
  async removeLeftovers(now: number): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name)
      if (!name.endsWith(unfinishedEnding) && !(await isOwnKeep(path))) continue
      const mtimeMs = (await stat(path).catch(() => null))?.mtimeMs ?? now
      if (now - mtimeMs > leftoverMsMin) await rm(path, { force: true })
    }
  }
}

/** The `.keep` of somebody else gives another reason, or none. */
async function isOwnKeep(path: string): Promise<boolean> {
  return path.endsWith('.keep') && (await readFile(path, 'utf8').catch(() => '')) === keepReason
}

async function writeSynced(path: string, bytes: Buffer): Promise<void> {
  const handle = await open(path, 'wx', 0o400)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
