/**
 * Packages from an OCI image layout (06 §15): all of them, finalized, or none.
 *
 * 1. The layout is read and checked to the end, then every content is published; no record says anything of it yet.
 * 2. One transaction writes all events. In it nobody deletes an object; what was deleted before, or is known to be damaged,
 *    is published again outside of it, and it begins anew.
 * 3. A failure or a kill before the commit leaves objects that nothing refers to, for garbage collection.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { crashPoint } from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import type { Limits } from '../../config/limits.ts'
import type { DataPlane } from '../../dataplane/spi.ts'
import { attemptsMax } from '../../db/retry.ts'
import type { Tx } from '../../db/spi.ts'
import type { NewEvent } from '../../events/event.ts'
import type { EventLog } from '../../events/event-log.ts'
import { type ContentAddress, formatContentAddress } from '../../identity/content-address.ts'
import { type PlannedFile, type PlannedPackage, planImport } from '../../oci/plan-import.ts'
import { normalizeRelativePath, type PathPolicy } from '../../paths/relative-path.ts'
import { findBlob } from '../../retention/statements.ts'
import type { Runtime } from '../../runtime.ts'
import type { Finalize } from '../finalize.ts'
import { type Content, healedEvent, ingestedEvent, publishedContent } from '../ingest/content.ts'
import type { IngestSlots } from '../ingest/ingest-slots.ts'
import { checkAnnotations, checkMediaType, type Provenance } from '../input.ts'
import { type LocationRow, listDamagedReferences } from '../locations/statements.ts'
import type { CheckedPackage, NewPackage, Packages } from '../packages.ts'
import { countDeletions, holdDeletions, notePut } from '../statements.ts'

/** What an image does not say of the package that it becomes. */
export interface ImportOptions extends Pick<NewPackage, 'retentionClass' | 'actor'> {
  /** Only what the layout lists by this name. */
  readonly ref?: string
  /** Who made the packages of others; exports of ours say it themselves. */
  readonly producer: string
  /** For images of others. `portable` by default. */
  readonly pathPolicy?: PathPolicy
  readonly signal?: AbortSignal
}

export interface ImportedPackage {
  readonly packageId: string
  readonly manifestDigest: ContentAddress
  /** The digest of the image manifest, as in `oci:sha256:…`. */
  readonly importedFrom: string
  /** The name in the layout; null when it has none. */
  readonly ref: string | null
}

/** Events that are written before others of this process have their turn. */
const eventsPerTurn = 50

interface Plan {
  readonly planned: PlannedPackage
  readonly checked: CheckedPackage
}

/** What is published. */
interface PublishedContents {
  readonly contents: Map<ContentAddress, Content>
  /** Those that were published again, over what was damaged. */
  readonly renewed: Set<ContentAddress>
  /** How many objects had been deleted before they were looked at. */
  deletions: number
}

export class ImageImport {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #runtime: Runtime
  readonly #limits: Limits
  readonly #slots: IngestSlots
  readonly #packages: Packages
  readonly #finalize: Finalize

  constructor(o: {
    readonly log: EventLog
    readonly plane: DataPlane
    readonly runtime: Runtime
    readonly limits: Limits
    readonly slots: IngestSlots
    readonly packages: Packages
    readonly finalize: Finalize
  }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#runtime = o.runtime
    this.#limits = o.limits
    this.#slots = o.slots
    this.#packages = o.packages
    this.#finalize = o.finalize
  }

  /**
   * Makes one finalized package for each image of a layout.
   *
   * @throws ArtifactError as `planImport`; `too_many_files`, `too_large`, `retention_class_unknown`, `invalid_request`,
   *   `too_many_requests`, `insufficient_storage`, `busy`; the reason of the signal. There is no package then
   */
  async import(directory: string, o: ImportOptions): Promise<readonly ImportedPackage[]> {
    const plans = (await planImport(directory, o)).map((planned) => this.#check(planned, o))
    return this.#slots.use(async () => {
      const files = new Map(plans.flatMap(({ planned }) => planned.files).map((file) => [addressOf(file), file]))
      const deletions = await this.#log.read(countDeletions)
      const published: PublishedContents = { contents: new Map(), renewed: new Set(), deletions }
      for (const [address, file] of files) published.contents.set(address, await this.#publish(file, o.signal))
      crashPoint('artifacts.import.published')
      for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
        o.signal?.throwIfAborted()
        const outcome = await this.#log.alone({ run: (tx) => this.#write(tx, plans, published) })
        if ('imported' in outcome) return outcome.imported
        published.deletions = outcome.deletions
        for (const address of outcome.gone) {
          await this.#publishAgain(files.get(address) as PlannedFile, o.signal)
          published.renewed.add(address)
        }
      }
      throw new ArtifactError('busy', { detail: 'Objects of the import were deleted again and again.' })
    })
  }

  #check(planned: PlannedPackage, o: ImportOptions): Plan {
    const { manifest, files } = planned
    const { filesMax, fileBytesMax } = this.#limits
    if (files.length > filesMax) {
      throw new ArtifactError('too_many_files', { detail: `A package has at most ${filesMax} files.` })
    }
    for (const { mediaType, annotations, digests } of files) {
      checkMediaType('mediaType', mediaType)
      checkAnnotations(annotations, this.#limits)
      if (digests.sizeBytes > fileBytesMax) {
        throw new ArtifactError('too_large', { detail: `A file has at most ${fileBytesMax} bytes.` })
      }
    }
    const checked = this.#packages.check({
      name: planned.name,
      producer: manifest?.package.producer ?? o.producer,
      subject: manifest?.package.subject ?? null,
      retentionClass: o.retentionClass,
      artifactType: planned.artifactType,
      pathPolicy: planned.pathPolicy,
      metadata: manifest?.package.metadata ?? {},
      annotations: planned.annotations,
      provenance: provenanceOf(planned),
      actor: o.actor,
    })
    return { planned, checked }
  }

  async #publish({ digests, read }: PlannedFile, signal: AbortSignal | undefined): Promise<Content> {
    const { primary, sizeBytes } = digests
    return publishedContent(
      await this.#plane.ingestStream(read(), {
        expected: formatContentAddress(primary),
        sizeHint: sizeBytes,
        ...(signal === undefined ? {} : { signal }),
      }),
    )
  }

  /** Also over an object that is there with the right size: it may be known to be damaged. */
  async #publishAgain({ digests, read }: PlannedFile, signal: AbortSignal | undefined): Promise<void> {
    const { held } = await this.#plane.ingestStream(read(), {
      expected: formatContentAddress(digests.primary),
      hold: true,
      ...(signal === undefined ? {} : { signal }),
    })
    if (held === null) throw new Error('bytes that were to be held')
    try {
      await this.#plane.restore(held, { replace: true })
    } finally {
      await this.#plane.release(held)
    }
  }

  /** @returns the packages; or what has to be published again before they can be made */
  async #write(tx: Tx, plans: readonly Plan[], published: PublishedContents) {
    const deletions = await holdDeletions(tx)
    const gone: ContentAddress[] = []
    const damaged: LocationRow[] = []
    for (const content of published.contents.values()) {
      const found = await listDamagedReferences(tx, backendOf(content), content.address)
      damaged.push(...found)
      const isCertain = found.length === 0 && deletions === published.deletions && !(await isDoomed(tx, content))
      if (isCertain) continue
      const head = await this.#plane.headObject(content.address, backendOf(content))
      const isWhole = head?.size === content.sizeBytes && (found.length === 0 || published.renewed.has(content.address))
      if (!isWhole) gone.push(content.address)
    }
    if (gone.length > 0) return { gone, deletions }
    const now = this.#runtime.now()
    for (const content of published.contents.values()) await notePut(tx, backendOf(content), content.address, now)
    const imported: ImportedPackage[] = []
    for (const plan of plans) imported.push(await this.#writePackage(tx, plan, published.contents))
    await this.#writeEvents(
      tx,
      damaged.map((location) => this.#healed(location, plans, published.contents)),
    )
    crashPoint('artifacts.import.written')
    return { imported }
  }

  async #writePackage(
    tx: Tx,
    { planned, checked }: Plan,
    contents: ReadonlyMap<ContentAddress, Content>,
  ): Promise<ImportedPackage> {
    const { actor } = checked
    const { packageId } = await this.#packages.write(tx, checked)
    const events = planned.files.map((file) => {
      const { mediaType, annotations, relativePath } = file
      const content = contents.get(addressOf(file))
      if (content === undefined) throw new Error('a file whose content was not published')
      const path = normalizeRelativePath(relativePath, planned.pathPolicy)
      const place = { packageId, path, mediaType, annotations, replacedFileId: null, actor }
      return ingestedEvent({ ...place, content }, this.#runtime.nextId)
    })
    await this.#writeEvents(tx, events)
    const { manifestDigest } = await this.#finalize.write(tx, packageId, actor)
    return { packageId, manifestDigest, importedFrom: planned.importedFrom, ref: planned.ref }
  }

  async #writeEvents(tx: Tx, events: readonly NewEvent[]): Promise<void> {
    for (let start = 0; start < events.length; start += eventsPerTurn) {
      await this.#log.write(tx, events.slice(start, start + eventsPerTurn))
      await nextTurn()
    }
  }

  #healed(location: LocationRow, plans: readonly Plan[], contents: ReadonlyMap<ContentAddress, Content>): NewEvent {
    const content = contents.get(location.content_address as ContentAddress)
    const [first] = plans
    if (content === undefined || first === undefined) throw new Error('a location of nothing that was imported')
    return healedEvent(location, { actor: first.checked.actor, content })
  }
}

function addressOf({ digests }: PlannedFile): ContentAddress {
  return formatContentAddress(digests.primary)
}

function backendOf({ locations }: Content): string {
  const [location] = locations
  if (location === undefined) throw new Error('a content that is published nowhere')
  return location.backend_id
}

async function isDoomed(tx: Tx, content: Content): Promise<boolean> {
  return (await findBlob(tx, backendOf(content), content.address))?.doomed_at != null
}

/** Of an export of ours what its manifest says, with where it comes from now. */
function provenanceOf({ manifest, importedFrom }: PlannedPackage): Provenance {
  if (manifest === null) return { importedFrom }
  const { tool, run_id: runId, repository, commit, environment } = manifest.provenance
  return { tool, runId, repository, commit, environment, importedFrom }
}
