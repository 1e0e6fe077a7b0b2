/**
 * An OCI image layout as a directory that is being written.
 *
 * 1. It is new or empty: nothing of others is overwritten, and no link of others is followed.
 * 2. `index.json` comes last, by a rename, after everything that it leads to was synced: a directory that has it is whole,
 *    also after a power cut. One without it is what a kill left; no tool takes it for a layout.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crashPoint, syncDirectory } from '@claudemesh/storage'
import { ArtifactError } from '../artifact-error.ts'
import { canonicalizeJson } from '../canon/jcs.ts'
import { errnoOf, toArtifactError } from '../storage/io-error.ts'
import type { Descriptor } from './documents.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants

export class LayoutWriter {
  readonly #directory: string
  readonly #isOurs: boolean
  readonly #written = new Set<string>()

  /** @throws ArtifactError `invalid_target`: the directory holds something, or is none; `storage_io` */
  static async create(directory: string): Promise<LayoutWriter> {
    try {
      const writer = new LayoutWriter(directory, await makeDirectory(directory))
      await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true })
      return writer
    } catch (error) {
      throw toArtifactError(error)
    }
  }

  private constructor(directory: string, isOurs: boolean) {
    this.#directory = directory
    this.#isOurs = isOurs
  }

  /**
   * Writes a blob, unless it is there.
   *
   * @throws ArtifactError `object_corrupt`: the source gives other bytes than those of the descriptor;
   *   `insufficient_storage`, `storage_io`; errors of the source as they are
   */
  async writeBlob(descriptor: Descriptor, read: () => AsyncIterable<Uint8Array>): Promise<void> {
    const hex = descriptor.digest.slice('sha256:'.length)
    if (this.#written.has(hex)) return
    const hash = createHash('sha256')
    const size = await writeSynced(join(this.#directory, 'blobs', 'sha256', hex), hashing(read(), hash))
    if (size !== descriptor.size || hash.digest('hex') !== hex) {
      throw new ArtifactError('object_corrupt', { detail: `The stored bytes are not those of ${descriptor.digest}.` })
    }
    this.#written.add(hex)
  }

  /** Writes the index, which makes the directory a layout, and returns when all of it is durable. */
  async finish(index: Uint8Array): Promise<void> {
    try {
      await writeSynced(join(this.#directory, 'oci-layout'), once(canonicalizeJson({ imageLayoutVersion: '1.0.0' })))
      const temporary = join(this.#directory, '.index.json.tmp')
      await writeSynced(temporary, once(index))
      for (const names of [['blobs', 'sha256'], ['blobs'], []]) syncDirectory(join(this.#directory, ...names))
      syncDirectory(dirname(this.#directory))
      crashPoint('artifacts.export.before_index')
      await rename(temporary, join(this.#directory, 'index.json'))
      syncDirectory(this.#directory)
    } catch (error) {
      throw toArtifactError(error)
    }
  }

  /** Removes what was written: an export that failed leaves the place as it found it. */
  async discard(): Promise<void> {
    const names = ['blobs', 'oci-layout', '.index.json.tmp', 'index.json']
    const paths = this.#isOurs ? [this.#directory] : names.map((name) => join(this.#directory, name))
    for (const path of paths) await rm(path, { recursive: true, force: true })
  }
}

/** @returns whether it was made; false when it was there, and empty */
async function makeDirectory(directory: string): Promise<boolean> {
  try {
    await mkdir(directory)
    return true
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  const stats = await lstat(directory)
  if (!stats.isDirectory() || (await readdir(directory)).length > 0) {
    throw new ArtifactError('invalid_target', { detail: 'The directory to write to exists and is not empty.' })
  }
  return false
}

/** @returns how many bytes the file has; they are synced, its name is not */
async function writeSynced(path: string, source: AsyncIterable<Uint8Array>): Promise<number> {
  const handle = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY).catch((error: unknown) => {
    throw toArtifactError(error)
  })
  let size = 0
  try {
    for await (const chunk of source) {
      await handle.appendFile(chunk)
      size += chunk.length
    }
    await handle.sync()
    return size
  } catch (error) {
    throw toArtifactError(error)
  } finally {
    await handle.close()
  }
}

async function* hashing(source: AsyncIterable<Uint8Array>, hash: ReturnType<typeof createHash>) {
  for await (const chunk of source) {
    hash.update(chunk)
    yield chunk
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
