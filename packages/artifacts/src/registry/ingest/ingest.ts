/**
 * Putting files into packages (06 §11). Bytes first, durably; then one transaction under the locks of their address and of
 * the package, in which the event is written. So there is never a reference without bytes, whatever dies when:
 *
 * 1. What was published before the transaction may be deleted by garbage collection until the address is locked. Under the
 *    lock it is looked for again, if anything was deleted since, and published again from the stage, which is kept until
 *    the commit.
 * 2. Checks that need no bytes are made before the bytes are read, and again in the transaction.
 */
import { crashPoint } from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import type { Limits } from '../../config/limits.ts'
import type { DataPlane, IngestResult } from '../../dataplane/spi.ts'
import type { Tx } from '../../db/spi.ts'
import type { EventLog } from '../../events/event-log.ts'
import { type ContentAddress, formatContentAddress, parseContentAddress } from '../../identity/content-address.ts'
import { awaitReader } from '../../identity/early-errors.ts'
import { normalizeRelativePath, type RelativePath } from '../../paths/relative-path.ts'
import type { Runtime } from '../../runtime.ts'
import { answerOnce } from '../answers/idempotency.ts'
import { checkActor, checkAnnotations, checkIdempotencyKey, checkMediaType } from '../input.ts'
import { requireOpenPackage } from '../package.ts'
import { countDeletions, type LocationRow, listReferences, notePut } from '../statements.ts'
import { type Content, findContent, healedEvent } from './content.ts'
import { checkPlace } from './file-place.ts'
import type { IngestSlots } from './ingest-slots.ts'

/** Where a file goes, whatever its bytes are. */
export interface FilePlace {
  readonly relativePath: string
  readonly mediaType: string
  /** Takes the place of the file under this very path, if there is one. */
  readonly replace?: boolean
  readonly annotations?: Readonly<Record<string, string>>
  readonly actor: string
  readonly idempotencyKey?: string
}

export interface NewFile extends FilePlace {
  readonly source: AsyncIterable<Uint8Array>
  /** Which bytes they will be; others are `digest_mismatch`. */
  readonly expected?: ContentAddress
  /** SHA-256 that they will have, in lower-case hexadecimal digits; another one is `digest_mismatch`. */
  readonly expectedSha256?: string
  /** How many there will be; another number is `size_mismatch`. */
  readonly sizeHint?: number
  readonly signal?: AbortSignal
}

export interface ExistingFile extends FilePlace {
  readonly contentAddress: ContentAddress
}

// A type, not an interface: it is kept as an answer, by its members.
export type IngestedFile = {
  readonly fileId: string
  readonly packageId: string
  readonly relativePath: string
  readonly contentAddress: string
  readonly sha256: string
  readonly sizeBytes: number
  /** The bytes were here before. */
  readonly deduplicated: boolean
  readonly replacedFileId: string | null
}

interface Wanted {
  readonly packageId: string
  readonly path: RelativePath
  readonly mediaType: string
  readonly replace: boolean
  readonly annotations: Readonly<Record<string, string>>
  readonly actor: string
  readonly key: string | null
  /** How many objects had been deleted before the bytes were read. */
  readonly deletions: number
}

export class Ingest {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #runtime: Runtime
  readonly #limits: Limits
  readonly #slots: IngestSlots

  constructor(o: {
    readonly log: EventLog
    readonly plane: DataPlane
    readonly runtime: Runtime
    readonly limits: Limits
    readonly slots: IngestSlots
  }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#runtime = o.runtime
    this.#limits = o.limits
    this.#slots = o.slots
  }

  /**
   * Reads a source once, stores its bytes and puts them into an open package.
   *
   * @throws ArtifactError `package_not_found`, `package_not_open`, `duplicate_path`, `path_collision`, `too_many_files`,
   *   `too_large`, `invalid_path`, `invalid_request`, `digest_mismatch`, `size_mismatch`, `too_many_requests`,
   *   `insufficient_storage`, `storage_io`; errors of the source as they are. Nothing was changed then
   */
  async ingest(packageId: string, o: NewFile): Promise<IngestedFile> {
    awaitReader(o.source)
    const wanted = await this.#prepare(packageId, o)
    const expected = o.expected === undefined ? {} : { expected: parseContentAddress(o.expected) }
    return this.#slots.use(async () => {
      const result = await this.#plane.ingestStream(this.#bounded(o.source), {
        hold: true,
        ...expected,
        ...(o.sizeHint === undefined ? {} : { sizeHint: o.sizeHint }),
        ...(o.signal === undefined ? {} : { signal: o.signal }),
      })
      crashPoint('artifacts.ingest.published')
      try {
        if (o.expectedSha256 !== undefined && o.expectedSha256 !== result.sha256.hex) {
          throw new ArtifactError('digest_mismatch', { detail: 'The bytes have another SHA-256 than was announced.' })
        }
        o.signal?.throwIfAborted()
        return await this.#commit(wanted, result)
      } finally {
        if (result.held !== null) await this.#plane.release(result.held)
      }
    })
  }

  /** Ingests several files, as many at a time as the store takes. Each succeeds or fails alone. */
  async ingestMany(
    packageId: string,
    files: readonly NewFile[],
  ): Promise<readonly PromiseSettledResult<IngestedFile>[]> {
    for (const { source } of files) awaitReader(source)
    const outcomes: PromiseSettledResult<IngestedFile>[] = []
    let next = 0
    const work = async () => {
      for (let index = next++; index < files.length; index = next++) {
        const file = files[index] as NewFile
        const [outcome] = await Promise.allSettled([this.ingest(packageId, file)])
        outcomes[index] = outcome
      }
    }
    await Promise.all(Array.from({ length: this.#limits.ingestsMax }, work))
    return outcomes
  }

  /**
   * Puts bytes that are here already into an open package.
   *
   * @throws ArtifactError `object_not_found`; what `ingest` throws of packages and paths
   */
  async addExisting(packageId: string, o: ExistingFile): Promise<IngestedFile> {
    const address = parseContentAddress(o.contentAddress)
    const wanted = await this.#prepare(packageId, o)
    return this.#log.submit({
      addresses: [address],
      packageIds: [packageId],
      run: (tx) =>
        this.#answer(tx, wanted, address, async () => {
          const content = await findContent(tx, address, this.#plane.listBackends())
          for (const { backend_id } of content.locations) {
            if ((await this.#plane.headObject(address, backend_id)) === null)
              throw new ArtifactError('object_not_found')
            await notePut(tx, backend_id, address, this.#runtime.now())
          }
          return this.#write(tx, wanted, { content, healed: [] })
        }),
    })
  }

  /** All that can be refused before a byte is read. */
  async #prepare(packageId: string, o: FilePlace): Promise<Wanted> {
    const mediaType = checkMediaType('mediaType', o.mediaType)
    const annotations = checkAnnotations(o.annotations ?? {}, this.#limits)
    const actor = checkActor(o.actor)
    const key = o.idempotencyKey === undefined ? null : checkIdempotencyKey(o.idempotencyKey)
    return this.#log.read(async (session) => {
      const found = await requireOpenPackage(session, packageId)
      const path = normalizeRelativePath(o.relativePath, found.path_policy)
      const deletions = await countDeletions(session)
      const wanted = { packageId, path, mediaType, replace: o.replace === true, annotations, actor, key, deletions }
      // With a key this may be the same request again, whose answer is known only to the transaction.
      if (key === null) await checkPlace(session, this.#placeOf(wanted, found.file_count))
      return wanted
    })
  }

  async #commit(wanted: Wanted, result: IngestResult): Promise<IngestedFile> {
    const { primary, sha256, sizeBytes, receipt, held } = result
    const address = formatContentAddress(primary)
    const location = {
      backend_id: receipt.backendId,
      object_key: receipt.objectKey,
      stored_at: receipt.storedAt,
      retrieval_tier: 'hot' as const,
    }
    const digests = { address, algorithm: primary.algorithm, primary: primary.hex, sha256: sha256.hex }
    const content = { ...digests, sizeBytes, deduplicated: result.deduplicated, locations: [location] }
    return this.#log.submit({
      addresses: [address],
      packageIds: [wanted.packageId],
      run: (tx) =>
        this.#answer(tx, wanted, address, async () => {
          const references = await listReferences(tx, receipt.backendId, address)
          const healed = references.filter(({ status }) => status !== 'stored')
          // To look at each object here would keep everybody waiting; nothing deleted is nothing to look for.
          const isUntouched = healed.length === 0 && (await countDeletions(tx)) === wanted.deletions
          if (held !== null && !isUntouched) await this.#plane.restore(held, { replace: healed.length > 0 })
          crashPoint('artifacts.ingest.locked')
          await notePut(tx, receipt.backendId, address, this.#runtime.now())
          return this.#write(tx, wanted, { content, healed })
        }),
    })
  }

  #answer(tx: Tx, wanted: Wanted, address: string, run: () => Promise<IngestedFile>): Promise<IngestedFile> {
    const { packageId, path, mediaType, replace, annotations, actor, key } = wanted
    const request = [packageId, path.relative_path, mediaType, replace, annotations, actor, address]
    return answerOnce(tx, { key, operation: 'ingest', request, now: this.#runtime.now() }, run)
  }

  async #write(
    tx: Tx,
    wanted: Wanted,
    { content, healed }: { readonly content: Content; readonly healed: readonly LocationRow[] },
  ): Promise<IngestedFile> {
    const { packageId, path, actor } = wanted
    const found = await requireOpenPackage(tx, packageId)
    const replaced = await checkPlace(tx, this.#placeOf(wanted, found.file_count))
    const fileId = this.#runtime.nextId()
    const replacedFileId = replaced?.file_id ?? null
    await this.#log.write(tx, [
      {
        event_type: 'v1.file.ingested',
        subject_kind: 'file',
        subject_id: fileId,
        actor,
        payload: {
          package_id: packageId,
          file_id: fileId,
          relative_path: path.relative_path,
          path_key: path.path_key,
          media_type: wanted.mediaType,
          size_bytes: content.sizeBytes,
          digest_algorithm: content.algorithm,
          digest_primary: content.primary,
          digest_sha256: content.sha256,
          content_address: content.address,
          annotations: wanted.annotations,
          replaces_file_id: replacedFileId,
          deduplicated: content.deduplicated,
          receipts: content.locations.map(({ backend_id, object_key, stored_at, retrieval_tier }) => ({
            storage_location_id: this.#runtime.nextId(),
            backend_id,
            object_key,
            size_bytes: content.sizeBytes,
            stored_at,
            retrieval_tier,
          })),
        },
      },
      ...healed.map((location) => healedEvent(location, { actor, content })),
    ])
    const { sha256, sizeBytes, deduplicated } = content
    const names = { fileId, packageId, relativePath: path.relative_path, contentAddress: content.address }
    return { ...names, sha256, sizeBytes, deduplicated, replacedFileId }
  }

  #placeOf({ packageId, path, replace }: Wanted, fileCount: number) {
    return { packageId, path, replace, fileCount, filesMax: this.#limits.filesMax }
  }

  async *#bounded(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    let bytes = 0
    for await (const chunk of source) {
      bytes += chunk instanceof Uint8Array ? chunk.length : 0
      if (bytes > this.#limits.fileBytesMax) {
        throw new ArtifactError('too_large', { detail: `A file has at most ${this.#limits.fileBytesMax} bytes.` })
      }
      yield chunk
    }
  }
}
