/**
 * Objects in a bucket of S3, or of what speaks like it (06 §8): `<key_prefix>/<algorithm>/<aa>/<bb>/<hex>`.
 *
 * 1. A receipt is given after the server has acknowledged the object and tells its size when it is asked again.
 * 2. An object is under its key whole or not at all: one request, or parts that become an object at the end.
 * 3. Bytes are spooled to the local disk until their address is known. When it is known before, and nothing is there, they
 *    go straight to the bucket.
 *
 * A process that is killed within an upload in parts leaves parts that nobody sees; a rule of the bucket
 * (AbortIncompleteMultipartUpload) removes them.
 */
import { createReadStream } from 'node:fs'
import { ensurePrivateDirectory, readSecretReference } from '@claudemesh/storage'
import { ArtifactError } from '../../../artifact-error.ts'
import { abortable } from '../../../identity/abortable.ts'
import { listAlgorithms } from '../../../identity/algorithms.ts'
import { type ContentAddress, parseContentAddress, toDigest } from '../../../identity/content-address.ts'
import { awaitReader } from '../../../identity/early-errors.ts'
import { resolveRange } from '../../byte-range.ts'
import { addressOfKey, objectKey } from '../../object-key.ts'
import type {
  BackendStatus,
  ByteRange,
  ListedObject,
  ObjectHead,
  PutOptions,
  StagedBlob,
  StageOptions,
  StorageBackend,
  StorageReceipt,
  StoredObject,
} from '../../spi.ts'
import { StagedFile } from '../../staging/staged-file.ts'
import { StagingArea } from '../../staging/staging-area.ts'
import { Bucket, type BucketOptions } from './bucket.ts'
import { DirectBlob } from './direct-blob.ts'
import { ObjectUpload, type UploadLimits } from './object-upload.ts'
import { toS3Error } from './s3-error.ts'

/** The settings of `[artifacts.s3]` (06 §8). Keys are named by where they are found, and never given. */
export interface S3Config extends BucketOptions {
  /** Where the access key is found: `env:NAME`, or `file:` and the path of a mounted file. */
  readonly accessKeyRef: string
  /** Where the secret key is found. */
  readonly secretKeyRef: string
  readonly multipartThresholdBytes: number
  readonly multipartChunkBytes: number
}

export interface S3BackendOptions extends S3Config {
  readonly backendId: string
  /** A directory for bytes on their way; made, 0700, when it is missing at the start. */
  readonly spoolRoot: string
  /** Milliseconds since the epoch, UTC. */
  readonly now: () => number
  /** A new ULID. */
  readonly nextId: () => string
}

/** Ten thousand parts, which is the most there may be, of this many bytes hold the largest file. */
const chunkBytesMin = 8 * 1024 * 1024
/** What one upload holds in memory has a bound. */
const thresholdBytesMax = 64 * 1024 * 1024
/** How often a put is repeated whose object is gone again before its size is checked. */
const putAttemptsMax = 8
const spoolReadBytes = 1024 * 1024
/** Outside of what is listed: no algorithm has such a name. */
const probePrefix = '.probe/'

export class S3Backend implements StorageBackend {
  readonly backendId: string
  readonly #bucket: Bucket
  readonly #staging: StagingArea
  readonly #limits: UploadLimits
  readonly #now: () => number
  readonly #nextId: () => string

  /**
   * Contacts nobody: a store starts also when the bucket cannot be reached.
   *
   * @throws RangeError: the sizes do not fit, or a reference to a key is none; Error: there is nothing where it leads
   */
  static async open(o: S3BackendOptions): Promise<S3Backend> {
    const { multipartThresholdBytes: thresholdBytes, multipartChunkBytes: chunkBytes } = o
    if (!(chunkBytes >= chunkBytesMin && chunkBytes <= thresholdBytes && thresholdBytes <= thresholdBytesMax)) {
      throw new RangeError('a part has at least 8 MiB, and the threshold is at least one part and at most 64 MiB')
    }
    const credentials = {
      accessKeyId: await readSecretReference(o.accessKeyRef),
      secretAccessKey: await readSecretReference(o.secretKeyRef),
    }
    const bucket = await Bucket.open(o, credentials)
    ensurePrivateDirectory(o.spoolRoot)
    const staging = StagingArea.open({ root: o.spoolRoot, nextId: o.nextId, now: o.now })
    return new S3Backend(o, { bucket, staging, limits: { thresholdBytes, chunkBytes } })
  }

  private constructor(
    o: S3BackendOptions,
    parts: { readonly bucket: Bucket; readonly staging: StagingArea; readonly limits: UploadLimits },
  ) {
    this.backendId = o.backendId
    this.#now = o.now
    this.#nextId = o.nextId
    this.#bucket = parts.bucket
    this.#staging = parts.staging
    this.#limits = parts.limits
  }

  /** Drops what is staged, and the connections. */
  close(): void {
    this.#staging.close()
    this.#bucket.close()
  }

  async stage(o: StageOptions = {}): Promise<StagedBlob> {
    // What is there already needs no upload, and is known to be the same only when all bytes are.
    if (o.expected === undefined || (await this.#find(objectKey(o.expected))) !== null) return this.#staging.create()
    return new DirectBlob(this.#upload(objectKey(o.expected)), o.expected)
  }

  async put(
    address: ContentAddress,
    source: AsyncIterable<Uint8Array> | StagedBlob,
    o: PutOptions = {},
  ): Promise<StorageReceipt> {
    const key = objectKey(address)
    if (source instanceof DirectBlob) return this.#putDirect(address, source)
    const staged = source instanceof StagedFile ? source : await this.#stageAll(source, o.signal)
    try {
      await staged.close()
      const found = await this.#find(key)
      const existed = o.replace !== true && found?.size === staged.sizeBytes
      if (!existed) await this.#uploadFile(key, staged)
      return this.#receipt(address, { sizeBytes: staged.sizeBytes, existed, healed: found !== null && !existed })
    } finally {
      if (o.keep !== true) await staged.discard()
    }
  }

  async get(address: ContentAddress, range?: ByteRange): Promise<StoredObject> {
    const key = objectKey(address)
    if (range === undefined) {
      const { size, body } = await this.#bucket.get(key, null)
      return { size, range: null, body }
    }
    const { size } = await this.#bucket.head(key)
    const resolved = resolveRange(range, size)
    if (resolved === null) throw new Error('a range that was given resolves to one')
    const { body } = await this.#bucket.get(key, resolved)
    return { size, range: resolved, body }
  }

  async head(address: ContentAddress): Promise<ObjectHead> {
    return await this.#bucket.head(objectKey(address))
  }

  async delete(address: ContentAddress): Promise<{ readonly deleted: boolean }> {
    const key = objectKey(address)
    // The server does not tell: it answers the same for a key that it does not have.
    if ((await this.#find(key)) === null) return { deleted: false }
    await this.#bucket.delete(key)
    return { deleted: true }
  }

  async health(): Promise<BackendStatus> {
    const status = { backendId: this.backendId, freeBytes: null, totalBytes: null }
    const probe = `${probePrefix}${this.#nextId()}`
    try {
      await this.#bucket.put(probe, new Uint8Array(0))
      await this.#bucket.delete(probe)
      return { ...status, healthy: true, readOnly: false, detail: null }
    } catch (error) {
      const detail = error instanceof Error ? error.message : 'unknown'
      return {
        ...status,
        healthy: false,
        readOnly: await this.#isReadable(),
        detail: `a write probe failed: ${detail}`,
      }
    }
  }

  async *list(o: { readonly after?: ContentAddress } = {}): AsyncIterable<ListedObject> {
    const after = o.after === undefined ? null : parseContentAddress(o.after)
    const algorithms = listAlgorithms().toSorted((a, b) => (`${a}:` < `${b}:` ? -1 : 1))
    for (const algorithm of algorithms) {
      const isAfter = after !== null && toDigest(after).algorithm === algorithm
      if (after !== null && !isAfter && `${algorithm}:` < after) continue
      const keys = this.#bucket.list({ prefix: `${algorithm}/`, after: isAfter ? objectKey(after) : null })
      for await (const { key, size, storedAt } of keys) {
        const address = addressOfKey(key)
        // Somebody else keeps something below our prefix. It is left alone.
        if (address !== null) yield { address, size, storedAt }
      }
    }
  }

  async #isReadable(): Promise<boolean> {
    try {
      for await (const _ of this.#bucket.list({ prefix: probePrefix, after: null })) break
      return true
    } catch {
      // Whatever it is, the probe has failed with it before, and said so.
      return false
    }
  }

  /** Null: it is not there. */
  async #find(key: string): Promise<ObjectHead | null> {
    try {
      return await this.#bucket.head(key)
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  #upload(key: string): ObjectUpload {
    return new ObjectUpload({ bucket: this.#bucket, key, limits: this.#limits })
  }

  async #uploadFile(key: string, staged: StagedFile): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const upload = this.#upload(key)
      try {
        const bytes = createReadStream(staged.path, { highWaterMark: spoolReadBytes })
        for await (const chunk of bytes) await upload.write(chunk as Uint8Array)
        await upload.complete()
        if (await this.#assertStored(key, staged.sizeBytes)) return
      } catch (error) {
        await upload.abort()
        throw toS3Error(error)
      }
      // A delete came in between. Who deletes for ever is not followed for ever.
      if (attempt === putAttemptsMax) throw gone()
    }
  }

  async #putDirect(address: ContentAddress, blob: DirectBlob): Promise<StorageReceipt> {
    try {
      if (address !== blob.expected) throw new Error('a blob that was staged for another address')
      await blob.finish()
      if (!(await this.#assertStored(objectKey(address), blob.sizeBytes))) throw gone()
      return this.#receipt(address, { sizeBytes: blob.sizeBytes, existed: false, healed: false })
    } finally {
      await blob.discard()
    }
  }

  /** @returns false when there is none; one of another size is removed, and an error */
  async #assertStored(key: string, sizeBytes: number): Promise<boolean> {
    const found = await this.#find(key)
    if (found === null || found.size === sizeBytes) return found !== null
    await this.#bucket.delete(key)
    throw new ArtifactError('storage_io', { detail: 'The object store kept another number of bytes than it was sent.' })
  }

  async #stageAll(
    source: AsyncIterable<Uint8Array> | StagedBlob,
    signal: AbortSignal | undefined,
  ): Promise<StagedFile> {
    if (!(Symbol.asyncIterator in source)) throw new Error('a blob that was staged elsewhere')
    awaitReader(source)
    const staged = await this.#staging.create()
    try {
      for await (const chunk of abortable(source, signal)) await staged.write(chunk)
      return staged
    } catch (error) {
      await staged.discard()
      throw error
    }
  }

  #receipt(address: ContentAddress, o: Pick<StorageReceipt, 'sizeBytes' | 'existed' | 'healed'>): StorageReceipt {
    return {
      contentAddress: address,
      backendId: this.backendId,
      objectKey: objectKey(address),
      storedAt: this.#now(),
      ...o,
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof ArtifactError && error.code === 'object_not_found'
}

function gone(): ArtifactError {
  return new ArtifactError('storage_io', { detail: 'The object was deleted again before its size could be checked.' })
}
