/**
 * Blobs that come in pieces, over any number of connections and restarts, each as a file of one directory (06 §12).
 *
 * 1. Whoever owns a spool keeps a record of each blob: how many of its bytes are durable. The record is changed after those
 *    bytes are synced, so that it never says too much; what a crash left beyond it is dropped at the next append.
 * 2. The digest goes along with the bytes. It lives with the process, and without it is computed again from the disk.
 * 3. What arrived before a source failed is kept: the next append goes on from there.
 * 4. A write that fails for want of space leaves the blob as it is recorded. A sync that fails leaves no blob: nobody can
 *    tell what is on the disk then.
 * 5. One append of a blob at a time in this process. That no other process appends is the business of the owner.
 */
import { createReadStream } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isUlid } from '@claudemesh/protocol'
import { crashPoint, ensurePrivateDirectory } from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import type { ContentAddress } from '../../identity/content-address.ts'
import { type DigestPair, DualDigest } from '../../identity/dual-digest.ts'
import { awaitReader } from '../../identity/early-errors.ts'
import { errnoOf, toArtifactError } from '../../storage/io-error.ts'
import type { StorageBackend, StorageReceipt } from '../../storage/spi.ts'
import { StagedFile } from '../../storage/staging/staged-file.ts'
import { syncDirectory } from '../../storage/sync-directory.ts'
import type { AppendOptions, UploadSoFar } from '../spi.ts'
import { receive } from './receive.ts'

/** Bytes that are read and hashed at once; between two portions others have their turn. */
const portionBytes = 1024 * 1024
/** Digests that are kept between appends; the others are computed again. */
const digestsMax = 64
/** The blob is its owner's alone. What is published is read-only. */
const spoolMode = 0o600

interface Digesting {
  readonly offset: number
  readonly digest: DualDigest
}

export class Spool {
  readonly #directory: string
  readonly #busy = new Set<string>()
  /** Those that were used last are last. */
  readonly #digests = new Map<string, Digesting>()

  /**
   * Opens the spool in a directory, made, 0700, when it is missing. To publish into a local backend it must be on the file
   * system of that backend.
   *
   * @throws MeshError `unsafe_permissions`
   */
  static open(directory: string): Spool {
    ensurePrivateDirectory(directory)
    return new Spool(directory)
  }

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Makes a blob with no bytes; it is there after a power cut too. @throws ArtifactError `insufficient_storage`, `storage_io` */
  async create(id: string): Promise<void> {
    try {
      const handle = await open(this.#path(id), 'wx', spoolMode)
      await handle.close()
      crashPoint('artifacts.spool.created')
      await syncDirectory(this.#directory)
    } catch (error) {
      throw toArtifactError(error)
    }
  }

  /**
   * Appends what a source gives. Fulfilled when all of it is durable and recorded.
   *
   * @returns the new offset
   * @throws ArtifactError `upload_busy`: an append of it is under way; `upload_not_found`: its bytes are not here any more;
   *   `size_mismatch`, `insufficient_storage`, `storage_io`, `invalid_chunk`; what `record` throws; errors of the source and
   *   the reason of the signal, and what came before them is recorded
   */
  async append(blob: UploadSoFar, source: AsyncIterable<Uint8Array>, o: AppendOptions): Promise<number> {
    awaitReader(source)
    return this.#alone(blob.id, async () => {
      const digest = await this.#takeDigest(blob)
      const file = await StagedFile.reopen(this.#path(blob.id), blob.offset)
      if (file === null) throw bytesGone()
      const { offset, broken } = await receive(source, { file, digest, lost: () => this.remove(blob.id), ...o })
      this.#keepDigest(blob.id, { offset, digest })
      if (broken !== null) throw broken.error
      return offset
    })
  }

  /**
   * Digests of all bytes of a blob.
   *
   * @throws ArtifactError `upload_busy`, `upload_not_found`, `storage_io`
   */
  async digest(blob: UploadSoFar): Promise<DigestPair> {
    return this.#alone(blob.id, async () => (await this.#takeDigest(blob)).digest())
  }

  /**
   * Publishes the bytes of a blob under their address. The blob stays until it is removed, and takes no more bytes: its
   * owner has recorded that it is complete. May be repeated.
   *
   * @throws ArtifactError `upload_busy`, `upload_not_found`; as `StorageBackend.put`
   */
  async publish(
    blob: UploadSoFar,
    o: { readonly backend: StorageBackend; readonly address: ContentAddress; readonly replace?: boolean },
  ): Promise<StorageReceipt> {
    return this.#alone(blob.id, async () => {
      const file = await StagedFile.adopt(this.#path(blob.id), blob.offset)
      if (file === null) throw bytesGone()
      try {
        return await o.backend.put(o.address, file, { keep: true, replace: o.replace === true })
      } finally {
        await file.release()
      }
    })
  }

  /** Drops a blob; what was published of it stays. Repeating it changes nothing. */
  async remove(id: string): Promise<void> {
    this.#digests.delete(id)
    await StagedFile.remove(this.#path(id))
  }

  /** Ids of the blobs that are here, whatever the records say. */
  async list(): Promise<readonly string[]> {
    return (await readdir(this.#directory)).filter(isUlid).sort()
  }

  #path(id: string): string {
    if (!isUlid(id)) throw new RangeError('the id of a blob is a ULID')
    return join(this.#directory, id)
  }

  async #alone<T>(id: string, run: () => Promise<T>): Promise<T> {
    if (this.#busy.has(id)) throw new ArtifactError('upload_busy')
    this.#busy.add(id)
    try {
      return await run()
    } finally {
      this.#busy.delete(id)
    }
  }

  /** The digest of the first bytes, to go on with. It is kept no more: what is done with it may fail. */
  async #takeDigest(blob: UploadSoFar): Promise<DualDigest> {
    const kept = this.#digests.get(blob.id)
    this.#digests.delete(blob.id)
    if (kept?.offset === blob.offset) return kept.digest
    const digest = new DualDigest(blob.algorithm)
    if (blob.offset === 0) return digest
    const portions = createReadStream(this.#path(blob.id), { end: blob.offset - 1, highWaterMark: portionBytes })
    let bytes = 0
    try {
      for await (const portion of portions) {
        digest.update(portion as Uint8Array)
        bytes += (portion as Uint8Array).length
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw toArtifactError(error)
    }
    if (bytes !== blob.offset) throw bytesGone()
    return digest
  }

  #keepDigest(id: string, digesting: Digesting): void {
    this.#digests.set(id, digesting)
    const [oldest] = this.#digests.keys()
    if (this.#digests.size > digestsMax && oldest !== undefined) this.#digests.delete(oldest)
  }
}

function bytesGone(): ArtifactError {
  return new ArtifactError('upload_not_found', { detail: 'The bytes of the upload are not here any more.' })
}
