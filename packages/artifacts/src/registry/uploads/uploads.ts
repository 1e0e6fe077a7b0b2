/**
 * Files that come in pieces (06 §12).
 *
 * 1. What an upload is for, and how many of its bytes are durable, is a row; the bytes are in the spool of the data plane.
 *    The bytes are made before the row and synced before it is changed, so that the row never says too much.
 * 2. To complete is to say that there are no more bytes, to publish them, and to write the event of the file, which takes
 *    the row away in the same transaction. Asked again, it gives the same answer.
 * 3. An upload ends with its row. Bytes without one are garbage, which the next sweep removes.
 * 4. One process takes the uploads of a store, one append at a time for each.
 */
import type { ErrorCode } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import type { Limits } from '../../config/limits.ts'
import type { DataPlane } from '../../dataplane/spi.ts'
import type { Tx } from '../../db/spi.ts'
import type { EventLog } from '../../events/event-log.ts'
import { formatContentAddress, parseContentAddress } from '../../identity/content-address.ts'
import { awaitReader } from '../../identity/early-errors.ts'
import type { Runtime } from '../../runtime.ts'
import { answersMsMax } from '../answers/idempotency.ts'
import { findAnswer } from '../answers/statements.ts'
import type { IngestSlots } from '../ingest/ingest-slots.ts'
import type { IngestedFile, Placing } from '../ingest/placing.ts'
import { requireOpenPackage } from '../package.ts'
import {
  countUploads,
  deleteExpired,
  deleteUpload,
  findUpload,
  insertUpload,
  listUploadIds,
  listUploadsOf,
  setComplete,
  setOffset,
  type UploadRow,
} from './statements.ts'
import {
  ageMsMax,
  type Completion,
  checkSize,
  expiryOf,
  idleMsMax,
  mismatchOf,
  type NewUpload,
  offsetMismatch,
  soFar,
  tooLarge,
  toUpload,
  type Upload,
} from './upload.ts'

export class Uploads {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #placing: Placing
  readonly #runtime: Runtime
  readonly #limits: Limits
  readonly #slots: IngestSlots
  /** What is under way, so that whoever drops an upload ends it. */
  readonly #running = new Map<string, AbortController>()

  constructor(o: {
    readonly log: EventLog
    readonly plane: DataPlane
    readonly placing: Placing
    readonly runtime: Runtime
    readonly limits: Limits
    readonly slots: IngestSlots
  }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#placing = o.placing
    this.#runtime = o.runtime
    this.#limits = o.limits
    this.#slots = o.slots
  }

  /**
   * @throws ArtifactError `package_not_found`, `package_not_open`, `duplicate_path`, `path_collision`, `too_many_files`,
   *   `too_large`, `invalid_path`, `invalid_request`, `invalid_content_address`, `too_many_requests`, `upload_busy`
   */
  async create(packageId: string, o: NewUpload): Promise<Upload> {
    const sizeBytes = checkSize(o.sizeBytes, this.#limits.fileBytesMax)
    const expected = o.expected === undefined ? null : parseContentAddress(o.expected)
    const { path, mediaType } = await this.#placing.prepare(packageId, { ...o, key: null })
    await this.sweep()
    const uploadId = this.#runtime.nextId()
    return this.#alone(uploadId, async () => {
      await this.#plane.createUpload(uploadId)
      crashPoint('artifacts.upload.spooled')
      const now = this.#runtime.now()
      const row = {
        upload_id: uploadId,
        package_id: packageId,
        ...path,
        media_type: mediaType,
        size_bytes: sizeBytes,
        expected,
        next_offset: 0,
        created_at: now,
        touched_at: now,
      }
      try {
        await this.#log.submit({ run: (tx) => this.#insert(tx, row) })
      } catch (error) {
        await this.#plane.dropUpload(uploadId)
        throw error
      }
      return toUpload(row)
    })
  }

  /** @throws ArtifactError `upload_not_found` */
  async status(uploadId: string): Promise<Upload> {
    return toUpload(await this.#require(uploadId))
  }

  /** The uploads under way into a package, those that were begun first in front. */
  async list(packageId: string): Promise<readonly Upload[]> {
    const rows = await this.#log.read((session) => listUploadsOf(session, packageId))
    const now = this.#runtime.now()
    return rows.map(toUpload).filter(({ expiresAt }) => expiresAt > now)
  }

  /**
   * Appends what a source gives. What came before the source failed stays, and the status tells how much.
   *
   * @returns the upload, when all of it is durable
   * @throws ArtifactError `upload_not_found`, `upload_busy`, `upload_offset_mismatch` with the right `offset`,
   *   `package_not_open`, `too_many_requests`, `insufficient_storage`, `storage_io`; `size_mismatch`, `too_large`: the upload
   *   has ended; errors of the source and the reason of the signal as they are
   */
  async append(
    uploadId: string,
    o: { readonly offset: number; readonly source: AsyncIterable<Uint8Array>; readonly signal?: AbortSignal },
  ): Promise<Upload> {
    awaitReader(o.source)
    await this.#slots.use(() =>
      this.#alone(uploadId, async (dropped) => {
        const row = await this.#require(uploadId)
        await this.#log.read((session) => requireOpenPackage(session, row.package_id))
        if (o.offset !== row.next_offset) throw offsetMismatch(row, 'the next bytes go elsewhere')
        const signal = o.signal === undefined ? dropped : AbortSignal.any([o.signal, dropped])
        await this.#append(row, o.source, signal)
      }),
    )
    return this.status(uploadId)
  }

  /**
   * Says that there are no more bytes, and puts them into the package. May be repeated for a week.
   *
   * @throws ArtifactError `upload_not_found`, `upload_busy`; `upload_offset_mismatch`: bytes are missing; `digest_mismatch`:
   *   the upload has ended; what `ingestFile` throws of packages and paths
   */
  async complete(uploadId: string, o: Completion): Promise<IngestedFile> {
    return this.#slots.use(() =>
      this.#alone(uploadId, async () => {
        const row = await this.#find(uploadId)
        return row === null ? this.#findAnswer(uploadId) : this.#complete(row, o)
      }),
    )
  }

  /** Ends an upload, also one whose bytes are coming. @throws ArtifactError `upload_not_found` */
  async abort(uploadId: string): Promise<void> {
    await this.#require(uploadId)
    this.#running.get(uploadId)?.abort(ended())
    await this.#drop(uploadId)
  }

  /** Ends uploads whose time is over, and removes bytes that belong to none. @returns how many uploads ended */
  async sweep(): Promise<number> {
    const now = this.#runtime.now()
    const ended = await this.#log.submit({
      run: (tx) => deleteExpired(tx, { touchedAt: now - idleMsMax, createdAt: now - ageMsMax }),
    })
    const spooled = await this.#plane.listUploads()
    const known = new Set(await this.#log.read(listUploadIds))
    // One that is under way may have no row yet, or none any more.
    for (const id of spooled.filter((id) => !known.has(id) && !this.#running.has(id))) await this.#plane.dropUpload(id)
    return ended
  }

  async #append(row: UploadRow, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const uploadId = row.upload_id
    try {
      await this.#plane.appendUpload(soFar(row), source, {
        bytesMax: row.size_bytes ?? this.#limits.fileBytesMax,
        record: (offset) => this.#record(uploadId, offset),
        signal,
      })
    } catch (error) {
      if (isCode(error, 'upload_not_found')) await this.#drop(uploadId)
      if (!isCode(error, 'size_mismatch')) throw error
      await this.#drop(uploadId)
      throw row.size_bytes === null ? tooLarge(this.#limits.fileBytesMax) : error
    }
  }

  async #record(uploadId: string, offset: number): Promise<void> {
    const at = this.#runtime.now()
    const isKnown = await this.#log.submit({ run: (tx) => setOffset(tx, { uploadId, offset, at }) })
    if (!isKnown) throw ended()
  }

  async #complete(row: UploadRow, { expectedSha256, ...named }: Completion): Promise<IngestedFile> {
    const uploadId = row.upload_id
    const upload = soFar(row)
    if (row.size_bytes !== null && row.size_bytes !== row.next_offset) throw offsetMismatch(row, 'bytes are missing')
    const place = { relativePath: row.relative_path, mediaType: row.media_type, ...named, key: keyOf(uploadId) }
    const wanted = await this.#placing.prepare(row.package_id, place)
    await this.#log.submit({ run: (tx) => setComplete(tx, uploadId) })
    const digests = await this.#plane.digestUpload(upload)
    const address = formatContentAddress(digests.primary)
    const mismatch = mismatchOf(row, { ...digests, expectedSha256 })
    if (mismatch !== null) {
      // Its bytes never become others.
      await this.#drop(uploadId)
      throw mismatch
    }
    const receipt = await this.#plane.publishUpload(upload, { address })
    crashPoint('artifacts.upload.published')
    const file = await this.#placing.commit(wanted, {
      ...digests,
      receipt,
      deduplicated: receipt.existed,
      restore: async ({ replace }) => void (await this.#plane.publishUpload(upload, { address, replace })),
      also: async (tx) => {
        if (!(await deleteUpload(tx, uploadId))) throw ended()
      },
    })
    crashPoint('artifacts.upload.committed')
    await this.#plane.dropUpload(uploadId)
    return file
  }

  /** What was answered when the upload was completed. @throws ArtifactError `upload_not_found` */
  async #findAnswer(uploadId: string): Promise<IngestedFile> {
    const since = this.#runtime.now() - answersMsMax
    const answer = await this.#log.read((session) => findAnswer(session, keyOf(uploadId), since))
    if (answer === null) throw new ArtifactError('upload_not_found')
    return JSON.parse(answer.response) as IngestedFile
  }

  async #insert(tx: Tx, row: UploadRow): Promise<void> {
    await requireOpenPackage(tx, row.package_id)
    const { uploadsMax } = this.#limits
    if ((await countUploads(tx)) >= uploadsMax) {
      throw new ArtifactError('too_many_requests', { detail: `${uploadsMax} uploads are open already.` })
    }
    await insertUpload(tx, row)
  }

  async #drop(uploadId: string): Promise<void> {
    await this.#log.submit({ run: (tx) => deleteUpload(tx, uploadId) })
    crashPoint('artifacts.upload.dropped')
    await this.#plane.dropUpload(uploadId)
  }

  /** One thing at a time with an upload. @param run is told when the upload was dropped meanwhile */
  async #alone<T>(uploadId: string, run: (dropped: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#running.has(uploadId)) throw new ArtifactError('upload_busy')
    const controller = new AbortController()
    this.#running.set(uploadId, controller)
    try {
      return await run(controller.signal)
    } finally {
      this.#running.delete(uploadId)
    }
  }

  async #require(uploadId: string): Promise<UploadRow> {
    const row = await this.#find(uploadId)
    if (row === null) throw new ArtifactError('upload_not_found')
    return row
  }

  /** Null: there is none, or its time is over. */
  async #find(uploadId: string): Promise<UploadRow | null> {
    if (typeof uploadId !== 'string') return null
    const row = await this.#log.read((session) => findUpload(session, uploadId))
    return row !== null && expiryOf(row) > this.#runtime.now() ? row : null
  }
}

/** What the answer is kept under: nothing that a caller could give as a key. */
function keyOf(uploadId: string): string {
  return `upload ${uploadId}`
}

function ended(): ArtifactError {
  return new ArtifactError('upload_not_found', { detail: 'The upload has ended.' })
}

function isCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof ArtifactError && error.code === code
}
