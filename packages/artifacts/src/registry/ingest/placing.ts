/**
 * How stored bytes get a place in a package: one transaction under the locks of their address and of the package, in which
 * the event is written. So there is never a reference without bytes, whatever dies when:
 *
 * 1. What was published before the transaction may be deleted by garbage collection until the address is locked. Under the
 *    lock it is looked for again, if anything was deleted since, and published again from where it is still kept.
 * 2. Checks that need no bytes are made before the bytes are read, and again in the transaction.
 */
import { crashPoint } from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import type { Limits } from '../../config/limits.ts'
import type { DataPlane, IngestResult } from '../../dataplane/spi.ts'
import type { Tx } from '../../db/spi.ts'
import type { ChangeLog } from '../../events/event-log.ts'
import type { ContentAddress } from '../../identity/content-address.ts'
import { normalizeRelativePath, type RelativePath } from '../../paths/relative-path.ts'
import { findBlob } from '../../retention/statements.ts'
import type { Runtime } from '../../runtime.ts'
import { answerOnce } from '../answers/idempotency.ts'
import { checkActor, checkAnnotations, checkMediaType } from '../input.ts'
import { type LocationRow, listDamagedReferences } from '../locations/statements.ts'
import { requireOpenPackage } from '../package.ts'
import { countDeletions, notePut } from '../statements.ts'
import { type Content, findContent, healedEvent, ingestedEvent, publishedContent } from './content.ts'
import { checkPlace } from './file-place.ts'

/** Where a file goes, whatever its bytes are. */
export interface FilePlace {
  readonly relativePath: string
  readonly mediaType: string
  /** Takes the place of the file under this very path, if there is one. */
  readonly replace?: boolean
  readonly annotations?: Readonly<Record<string, string>>
  readonly actor: string
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

/** A place that was asked for, checked. */
export interface Wanted {
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

/** Bytes that were published for a place, and that can be published again until it is taken. */
export interface Published extends Pick<IngestResult, 'primary' | 'sha256' | 'sizeBytes' | 'receipt' | 'deduplicated'> {
  /** Publishes them again, under the lock of their address, if they are gone or are to be replaced. */
  readonly restore: (o: { readonly replace: boolean }) => Promise<void>
  /** What else is changed in the transaction. */
  readonly also?: (tx: Tx) => Promise<void>
}

export class Placing {
  readonly #log: ChangeLog
  readonly #plane: DataPlane
  readonly #runtime: Runtime
  readonly #limits: Limits

  constructor(o: {
    readonly log: ChangeLog
    readonly plane: DataPlane
    readonly runtime: Runtime
    readonly limits: Limits
  }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#runtime = o.runtime
    this.#limits = o.limits
  }

  /** All that can be refused before a byte is read. @throws as `Ingest.ingest` does of packages, paths and requests */
  async prepare(packageId: string, o: FilePlace & { readonly key: string | null }): Promise<Wanted> {
    const mediaType = checkMediaType('mediaType', o.mediaType)
    const annotations = checkAnnotations(o.annotations ?? {}, this.#limits)
    const actor = checkActor(o.actor)
    return this.#log.read(async (session) => {
      const found = await requireOpenPackage(session, packageId)
      const path = normalizeRelativePath(o.relativePath, found.path_policy)
      const deletions = await countDeletions(session)
      const wanted = {
        packageId,
        path,
        mediaType,
        replace: o.replace === true,
        annotations,
        actor,
        key: o.key,
        deletions,
      }
      // With a key this may be the same request again, whose answer is known only to the transaction.
      if (o.key === null) await checkPlace(session, this.#placeOf(wanted, found.file_count))
      return wanted
    })
  }

  /** Writes the event of bytes that were published. @throws as `prepare` */
  async commit(wanted: Wanted, published: Published): Promise<IngestedFile> {
    const content = publishedContent(published)
    const { address } = content
    const { receipt } = published
    return this.#log.submit({
      addresses: [address],
      packageIds: [wanted.packageId],
      run: (tx) =>
        this.#answer(tx, wanted, address, async () => {
          const healed = await listDamagedReferences(tx, receipt.backendId, address)
          // To look at each object here would keep everybody waiting. What was deleted was counted; what somebody was killed
          // over while deleting it is still doomed.
          const isDoomed = (await findBlob(tx, receipt.backendId, address))?.doomed_at != null
          const isUntouched = healed.length === 0 && !isDoomed && (await countDeletions(tx)) === wanted.deletions
          if (!isUntouched) await published.restore({ replace: healed.length > 0 })
          crashPoint('artifacts.ingest.locked')
          await notePut(tx, receipt.backendId, address, this.#runtime.now())
          const file = await this.#write(tx, wanted, { content, healed })
          await published.also?.(tx)
          return file
        }),
    })
  }

  /** Writes the event of bytes that are here already. @throws ArtifactError `object_not_found`; as `prepare` */
  async commitExisting(wanted: Wanted, address: ContentAddress): Promise<IngestedFile> {
    return this.#log.submit({
      addresses: [address],
      packageIds: [wanted.packageId],
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
    const replacedFileId = replaced?.file_id ?? null
    const event = ingestedEvent({ ...wanted, content, replacedFileId }, this.#runtime.nextId)
    await this.#log.write(tx, [event, ...healed.map((location) => healedEvent(location, { actor, content }))])
    const { sha256, sizeBytes, deduplicated } = content
    const names = {
      fileId: event.subject_id,
      packageId,
      relativePath: path.relative_path,
      contentAddress: content.address,
    }
    return { ...names, sha256, sizeBytes, deduplicated, replacedFileId }
  }

  #placeOf({ packageId, path, replace }: Wanted, fileCount: number) {
    return { packageId, path, replace, fileCount, filesMax: this.#limits.filesMax }
  }
}
