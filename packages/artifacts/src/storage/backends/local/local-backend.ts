/**
 * Objects as files of a directory (06 §8): `<root>/<algorithm>/<aa>/<bb>/<hex>`, directories 0700, files 0400.
 *
 * 1. A receipt is given after the file, its name and the names of the directories above it are synced. What is under an
 *    address is there whole, or a power cut took it before anybody was told.
 * 2. A kill at any step leaves the object there or not there, and a staged file that the next start removes.
 * 3. The root is resolved once. No name that came from outside becomes a path, and no symbolic link below is followed.
 * 4. A root that has vanished is not made again: its disk may only not be mounted.
 */
import { constants } from 'node:fs'
import { lstat, open, realpath, rename, statfs, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crashPoint, ensurePrivateDirectory } from '@claudemesh/storage'
import { ArtifactError } from '../../../artifact-error.ts'
import { abortable } from '../../../identity/abortable.ts'
import { type ContentAddress, parseContentAddress } from '../../../identity/content-address.ts'
import { awaitReader } from '../../../identity/early-errors.ts'
import { resolveRange } from '../../byte-range.ts'
import { errnoOf, toArtifactError } from '../../io-error.ts'
import type {
  BackendStatus,
  ByteRange,
  ListedObject,
  ObjectHead,
  PutOptions,
  StagedBlob,
  StorageBackend,
  StorageReceipt,
  StoredObject,
} from '../../spi.ts'
import { StagedFile } from '../../staging/staged-file.ts'
import { StagingArea } from '../../staging/staging-area.ts'
import { syncDirectory } from '../../sync-directory.ts'
import { DirectorySyncs } from './directory-syncs.ts'
import { listObjects } from './list-objects.ts'
import { type ObjectPlace, objectPlace } from './object-path.ts'
import { readBody } from './read-body.ts'
import { assertDirectory, Shards } from './shards.ts'

export interface LocalBackendOptions {
  readonly backendId: string
  /** Made, 0700, when it is missing at the start. */
  readonly root: string
  /** Milliseconds since the epoch, UTC. */
  readonly now: () => number
  /** A new ULID. */
  readonly nextId: () => string
}

/** How often a put makes its directories again when deletes remove them at the same time. */
const publishAttemptsMax = 16
/** How many bytes of a large file wait for the disk at most before it is asked to write them. */
const syncEvery = 32 * 1024 * 1024

export class LocalBackend implements StorageBackend {
  readonly backendId: string
  readonly #root: string
  readonly #now: () => number
  readonly #staging: StagingArea
  readonly #shards = new Shards()
  readonly #syncs = new DirectorySyncs()

  /** @throws MeshError `unsafe_permissions`: the root is open to others */
  static async open(o: LocalBackendOptions): Promise<LocalBackend> {
    ensurePrivateDirectory(o.root)
    const root = await realpath(o.root)
    return new LocalBackend({ ...o, root }, StagingArea.open({ root, nextId: o.nextId, now: o.now }))
  }

  private constructor(o: LocalBackendOptions, staging: StagingArea) {
    this.backendId = o.backendId
    this.#root = o.root
    this.#now = o.now
    this.#staging = staging
  }

  /** Drops what is staged. */
  close(): void {
    this.#staging.close()
  }

  stage(): Promise<StagedFile> {
    return this.#staging.create({ syncEvery })
  }

  async put(
    address: ContentAddress,
    source: AsyncIterable<Uint8Array> | StagedBlob,
    o: PutOptions = {},
  ): Promise<StorageReceipt> {
    const staged = source instanceof StagedFile ? source : await this.#stageAll(source, o.signal)
    try {
      const place = objectPlace(this.#root, address)
      await staged.finish()
      crashPoint('artifacts.put.staged')
      return await this.#publish(address, place, { staged, ...o })
    } catch (error) {
      throw toArtifactError(error)
    } finally {
      if (o.keep !== true) await staged.discard()
    }
  }

  async get(address: ContentAddress, range?: ByteRange): Promise<StoredObject> {
    const place = objectPlace(this.#root, address)
    return this.#reading(async () => {
      await assertDirectory(dirname(place.path))
      const handle = await open(place.path, constants.O_RDONLY | constants.O_NOFOLLOW)
      try {
        const stats = await handle.stat()
        if (!stats.isFile()) throw new ArtifactError('storage_io', { detail: 'What is under the address is no file.' })
        const resolved = resolveRange(range, stats.size)
        const [start, end] = resolved ?? [0, stats.size - 1]
        return { size: stats.size, range: resolved, body: readBody(handle, { start, end }) }
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async head(address: ContentAddress): Promise<ObjectHead> {
    const { path } = objectPlace(this.#root, address)
    return this.#reading(async () => {
      await assertDirectory(dirname(path))
      const stats = await lstat(path)
      if (!stats.isFile()) throw new ArtifactError('storage_io', { detail: 'What is under the address is no file.' })
      return { size: stats.size, storedAt: Math.round(stats.mtimeMs) }
    })
  }

  async delete(address: ContentAddress): Promise<{ readonly deleted: boolean }> {
    const { path, shards } = objectPlace(this.#root, address)
    try {
      await assertDirectory(dirname(path))
      await unlink(path)
      crashPoint('artifacts.delete.unlinked')
      await syncDirectory(dirname(path))
      await this.#shards.removeEmpty(shards)
      return { deleted: true }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return { deleted: false }
      throw toArtifactError(error)
    }
  }

  async health(): Promise<BackendStatus> {
    const unknown = { backendId: this.backendId, readOnly: false, freeBytes: null, totalBytes: null }
    try {
      const { bavail, blocks, bsize } = await statfs(this.#root)
      const space = { backendId: this.backendId, freeBytes: bavail * bsize, totalBytes: blocks * bsize }
      const failure = await this.#probe()
      if (failure === null) return { ...space, healthy: true, readOnly: false, detail: null }
      return { ...space, healthy: false, readOnly: failure === 'EROFS', detail: `a write probe failed (${failure})` }
    } catch (error) {
      return { ...unknown, healthy: false, detail: `the root cannot be reached (${errnoOf(error) ?? 'unknown'})` }
    }
  }

  list(o: { readonly after?: ContentAddress } = {}): AsyncIterable<ListedObject> {
    return listObjects(this.#root, o.after === undefined ? '' : parseContentAddress(o.after))
  }

  async #stageAll(
    source: AsyncIterable<Uint8Array> | StagedBlob,
    signal: AbortSignal | undefined,
  ): Promise<StagedFile> {
    if (!(Symbol.asyncIterator in source)) throw new Error('a blob that was staged elsewhere')
    awaitReader(source)
    const staged = await this.stage()
    try {
      for await (const chunk of abortable(source, signal)) await staged.write(chunk)
      return staged
    } catch (error) {
      await staged.discard()
      throw error
    }
  }

  /** Gives a synced file its name. */
  async #publish(address: ContentAddress, place: ObjectPlace, o: Publishing): Promise<StorageReceipt> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#publishOnce(address, place, o)
      } catch (error) {
        // A delete has removed the directory, empty as it was. A root that is gone stays gone.
        if (errnoOf(error) !== 'ENOENT' || attempt === publishAttemptsMax) throw error
        this.#shards.forget(place.shards)
      }
    }
  }

  async #publishOnce(address: ContentAddress, place: ObjectPlace, o: Publishing): Promise<StorageReceipt> {
    const made = await this.#shards.ensure(place.shards)
    crashPoint('artifacts.put.sharded')
    const { existed, healed } = await this.#name(place.path, o)
    crashPoint('artifacts.put.renamed')
    // Also when it existed: another put may have named it and not come to this.
    await this.#syncs.sync([dirname(place.path), ...made.map((path) => dirname(path))])
    this.#shards.noteDurable(made)
    return {
      contentAddress: address,
      backendId: this.backendId,
      objectKey: place.objectKey,
      sizeBytes: o.staged.sizeBytes,
      storedAt: this.#now(),
      existed,
      healed,
    }
  }

  /** Puts a staged file under the name of its object, unless one of its size is there. */
  async #name(path: string, o: Publishing): Promise<{ readonly existed: boolean; readonly healed: boolean }> {
    const { staged } = o
    // Most are not there yet, and one that is kept keeps its own name.
    if (o.keep === true && o.replace !== true && (await staged.linkTo(path))) return { existed: false, healed: false }
    const found = await lstat(path).catch(ignoreMissing)
    const existed = o.replace !== true && found?.isFile() === true && found.size === staged.sizeBytes
    if (!existed) await rename(o.keep === true ? await staged.duplicate() : staged.path, path)
    return { existed, healed: found !== undefined && !existed }
  }

  /** @returns what keeps it from being written to */
  async #probe(): Promise<string | null> {
    try {
      await this.#staging.probe()
      return null
    } catch (error) {
      return errnoOf(error) ?? 'unknown'
    }
  }

  async #reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      const code = errnoOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') throw new ArtifactError('object_not_found', { cause: error })
      throw toArtifactError(error)
    }
  }
}

interface Publishing extends PutOptions {
  readonly staged: StagedFile
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error
}
