/**
 * Sealed bytes on their way in: in pieces, over any number of connections and restarts, until all of them are there and
 * have the digest that their address says.
 *
 * 1. What is answered as arrived is on the disk, and recorded in the database.
 * 2. Of one upload the newest request goes on: whoever has lost its connection need not wait until this side notices.
 * 3. A blob is `stored` after its object is durable. Killed at any step before, it is open, and goes on from what arrived.
 */

import { type ContentAddress, formatContentAddress, type Spool, type StorageBackend } from '@claudemesh/artifacts/blobs'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { publishLeaseMs } from '../limits.ts'
import type { Runtime } from '../runtime.ts'
import type { BlobKey, Blobs, SpooledPart, Upload } from '../store/blobs.ts'

export interface UploadProgress {
  /** Bytes that are durable here. */
  readonly offset: number
  readonly stored: boolean
}

interface Running {
  readonly abort: AbortController
  readonly done: Promise<unknown>
}

export class Uploads {
  readonly #blobs: Blobs
  readonly #spool: Spool
  readonly #backend: StorageBackend
  readonly #runtime: Runtime
  readonly #running = new Map<string, Running>()

  constructor(o: {
    readonly blobs: Blobs
    readonly spool: Spool
    readonly backend: StorageBackend
    readonly runtime: Runtime
  }) {
    this.#blobs = o.blobs
    this.#spool = o.spool
    this.#backend = o.backend
    this.#runtime = o.runtime
  }

  /** @throws MeshError `blob_not_found`, `blob_expired` */
  async status(key: BlobKey): Promise<UploadProgress> {
    return progressOf(await this.#find(key))
  }

  /**
   * Takes bytes, from the offset that is reached on; or from the first, `restart`, whatever there was.
   *
   * @throws MeshError `blob_not_found`, `blob_expired`, `upload_offset_mismatch` with the right `offset`, `upload_busy` when
   *   a newer request goes on, `size_mismatch`, `digest_mismatch` (then nothing of it is kept), `insufficient_storage`,
   *   `busy` …; errors of the source. What came before is kept.
   */
  append(
    key: BlobKey,
    o: {
      readonly offset: number | 'restart'
      readonly source: AsyncIterable<Uint8Array>
      readonly signal: AbortSignal
    },
  ): Promise<UploadProgress> {
    return this.#alone(key, o.signal, async (signal) => {
      const upload = await this.#find(key)
      if (upload.state === 'stored') return progressOf(upload)
      if (o.offset === 'restart') await this.#drop(key, upload.spooled)
      const before = o.offset === 'restart' ? null : upload.spooled
      const offset = o.offset === 'restart' ? 0 : o.offset
      if (offset !== (before?.offset ?? 0)) throw wrongOffset(before?.offset ?? 0)
      const part = await this.#receive(key, before ?? (await this.#begin(key)), {
        source: o.source,
        signal,
        bytesMax: upload.sizeBytes,
      })
      if (part.offset < upload.sizeBytes) return { offset: part.offset, stored: false }
      await this.#complete(key, part)
      return { offset: part.offset, stored: true }
    })
  }

  /** Removes files in which no blob waits any more. */
  async sweep(): Promise<number> {
    let removed = 0
    for (const id of await this.#spool.list()) {
      if (await this.#blobs.isSpooled(id)) continue
      await this.#spool.remove(id)
      removed += 1
    }
    return removed
  }

  async #find(key: BlobKey): Promise<Upload> {
    const upload = await this.#blobs.findUpload(key)
    if (upload === null) throw new MeshError('blob_not_found')
    if (upload.state === 'expired' || upload.expiresAt <= this.#runtime.now()) throw new MeshError('blob_expired')
    return upload
  }

  /** Recorded first: a file that no row names is nobody's. */
  async #begin(key: BlobKey): Promise<SpooledPart> {
    const part = { id: this.#runtime.nextId(), offset: 0 }
    if (!(await this.#blobs.recordSpooled(key, { from: null, to: part }))) throw new MeshError('upload_busy')
    crashPoint('broker.blob.begun')
    await this.#spool.create(part.id)
    return part
  }

  async #receive(
    key: BlobKey,
    begun: SpooledPart,
    o: { readonly source: AsyncIterable<Uint8Array>; readonly signal: AbortSignal; readonly bytesMax: number },
  ): Promise<SpooledPart> {
    let part = begun
    try {
      await this.#spool.append({ ...begun, algorithm: 'blake3' }, o.source, {
        bytesMax: o.bytesMax,
        signal: o.signal,
        record: async (offset) => {
          const to = { id: begun.id, offset }
          if (!(await this.#blobs.recordSpooled(key, { from: part, to }))) throw new MeshError('upload_busy')
          part = to
        },
      })
      return part
    } catch (error) {
      const code = error instanceof MeshError ? error.code : null
      if (code === 'size_mismatch') await this.#drop(key, part)
      if (code !== 'upload_not_found') throw error
      // It waits at another broker, or its disk was changed: from here it begins anew.
      await this.#drop(key, part)
      throw wrongOffset(0)
    }
  }

  async #complete(key: BlobKey, part: SpooledPart): Promise<void> {
    const { primary } = await this.#spool.digest({ ...part, algorithm: 'blake3' })
    const address = formatContentAddress(primary)
    if (address !== key.address) {
      await this.#drop(key, part)
      throw new MeshError('digest_mismatch', { detail: 'the bytes that arrived are not those of the address' })
    }
    crashPoint('broker.blob.complete')
    await this.#publish(key, part, address)
    crashPoint('broker.blob.stored')
    await this.#spool.remove(part.id)
  }

  async #publish(key: BlobKey, part: SpooledPart, address: ContentAddress): Promise<void> {
    const hold = () => this.#blobs.beginPublish(key, { leaseUntil: this.#runtime.now() + publishLeaseMs })
    assertDone(await hold())
    // A failure to renew shows at the end: then the object may have been doomed.
    const renewal = setInterval(() => void hold().catch(() => undefined), publishLeaseMs / 3)
    try {
      await this.#spool.publish({ ...part, algorithm: 'blake3' }, { backend: this.#backend, address })
    } finally {
      clearInterval(renewal)
    }
    crashPoint('broker.blob.published')
    assertDone(await this.#blobs.finishPublish(key))
  }

  async #drop(key: BlobKey, part: SpooledPart | null): Promise<void> {
    if (part === null) return
    await this.#blobs.recordSpooled(key, { from: part, to: null })
    await this.#spool.remove(part.id)
  }

  async #alone<T>(key: BlobKey, signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const name = `${key.meshId} ${key.sender} ${key.address}`
    for (let other = this.#running.get(name); other !== undefined; other = this.#running.get(name)) {
      other.abort.abort(new MeshError('upload_busy', { detail: 'a newer request goes on with this upload' }))
      await other.done
    }
    const abort = new AbortController()
    const result = run(AbortSignal.any([signal, abort.signal]))
    const done = result.catch(() => undefined).finally(() => this.#running.delete(name))
    this.#running.set(name, { abort, done })
    return result
  }
}

function progressOf(upload: Upload): UploadProgress {
  const stored = upload.state === 'stored'
  return { offset: stored ? upload.sizeBytes : (upload.spooled?.offset ?? 0), stored }
}

function wrongOffset(offset: number): MeshError {
  return new MeshError('upload_offset_mismatch', { detail: `the upload goes on at byte ${offset}`, data: { offset } })
}

function assertDone(outcome: 'done' | 'gone' | 'busy'): void {
  if (outcome === 'gone') throw new MeshError('blob_not_found', { detail: 'the blob ended while it was uploaded' })
  if (outcome === 'busy') throw new MeshError('busy', { detail: 'equal bytes are just being deleted' })
}
