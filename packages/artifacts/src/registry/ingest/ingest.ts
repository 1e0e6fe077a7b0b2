/**
 * Putting files into packages (06 §11). Bytes first, durably; then one transaction, in which they get their place. What was
 * staged is kept until the commit, so that it can be published again.
 */
import { crashPoint } from '@claudemesh/storage'
import { ArtifactError } from '../../artifact-error.ts'
import type { Limits } from '../../config/limits.ts'
import type { DataPlane } from '../../dataplane/spi.ts'
import { type ContentAddress, parseContentAddress } from '../../identity/content-address.ts'
import { awaitReader } from '../../identity/early-errors.ts'
import { keyOf, type Repeatable } from '../answers/idempotency.ts'
import type { IngestSlots } from './ingest-slots.ts'
import type { FilePlace, IngestedFile, Placing, Published, Wanted } from './placing.ts'

export interface NewFile extends FilePlace, Repeatable {
  readonly source: AsyncIterable<Uint8Array>
  /** Which bytes they will be; others are `digest_mismatch`. */
  readonly expected?: ContentAddress
  /** SHA-256 that they will have, in lower-case hexadecimal digits; another one is `digest_mismatch`. */
  readonly expectedSha256?: string
  /** How many there will be; another number is `size_mismatch`. */
  readonly sizeHint?: number
  readonly signal?: AbortSignal
}

export interface ExistingFile extends FilePlace, Repeatable {
  readonly contentAddress: ContentAddress
}

/** Files of one call that share a transaction. */
const groupMax = 64

/** Bytes that are published for a place, and kept beside that until they are released. */
interface Stored {
  readonly wanted: Wanted
  readonly published: Published
  readonly release: () => Promise<void>
}

export class Ingest {
  readonly #placing: Placing
  readonly #plane: DataPlane
  readonly #limits: Limits
  readonly #slots: IngestSlots

  constructor(o: {
    readonly placing: Placing
    readonly plane: DataPlane
    readonly limits: Limits
    readonly slots: IngestSlots
  }) {
    this.#placing = o.placing
    this.#plane = o.plane
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
  ingest(packageId: string, o: NewFile): Promise<IngestedFile> {
    awaitReader(o.source)
    return this.#slots.attend(async () => this.#commit(await this.#store(packageId, o)))
  }

  /**
   * Ingests several files, as many at a time as the store takes. Each succeeds or fails alone; those that are stored together
   * share a transaction, while the next ones are read.
   */
  async ingestMany(
    packageId: string,
    files: readonly NewFile[],
  ): Promise<readonly PromiseSettledResult<IngestedFile>[]> {
    for (const { source } of files) awaitReader(source)
    const outcomes: PromiseSettledResult<IngestedFile>[] = []
    let group: { readonly index: number; readonly stored: Stored }[] = []
    let committing = Promise.resolve()
    const commit = () => {
      const full = group
      group = []
      const run = async () => {
        const settled = await Promise.allSettled(full.map(({ stored }) => this.#commit(stored)))
        for (const [position, { index }] of full.entries()) {
          outcomes[index] = settled[position] as PromiseSettledResult<IngestedFile>
        }
      }
      committing = committing.then(run)
      return committing
    }
    let next = 0
    const work = async () => {
      for (let index = next++; index < files.length; index = next++) {
        const [outcome] = await Promise.allSettled([this.#store(packageId, files[index] as NewFile)])
        if (outcome.status === 'rejected') outcomes[index] = outcome
        else group.push({ index, stored: outcome.value })
        if (group.length >= groupMax) await commit()
      }
    }
    return this.#slots.attend(async () => {
      await Promise.all(Array.from({ length: this.#limits.ingestsMax }, work))
      await commit()
      return outcomes
    })
  }

  async #commit({ wanted, published, release }: Stored): Promise<IngestedFile> {
    try {
      return await this.#placing.commit(wanted, published)
    } finally {
      await release()
    }
  }

  /** Makes the bytes of a source durable, and keeps them until they are released. */
  async #store(packageId: string, o: NewFile): Promise<Stored> {
    const wanted = await this.#placing.prepare(packageId, { ...o, key: keyOf(o) })
    const expected = o.expected === undefined ? {} : { expected: parseContentAddress(o.expected) }
    return this.#slots.use(async () => ({ wanted, ...(await this.#publish({ ...o, ...expected })) }))
  }

  async #publish(o: NewFile): Promise<Omit<Stored, 'wanted'>> {
    const result = await this.#plane.ingestStream(this.#bounded(o.source), {
      hold: true,
      ...(o.expected === undefined ? {} : { expected: o.expected }),
      ...(o.sizeHint === undefined ? {} : { sizeHint: o.sizeHint }),
      ...(o.signal === undefined ? {} : { signal: o.signal }),
    })
    const { held } = result
    const release = async () => {
      if (held !== null) await this.#plane.release(held)
    }
    crashPoint('artifacts.ingest.published')
    try {
      if (o.expectedSha256 !== undefined && o.expectedSha256 !== result.sha256.hex) {
        throw new ArtifactError('digest_mismatch', { detail: 'The bytes have another SHA-256 than was announced.' })
      }
      o.signal?.throwIfAborted()
    } catch (error) {
      await release()
      throw error
    }
    const restore = async (how: { readonly replace: boolean }) => {
      if (held !== null) await this.#plane.restore(held, how)
    }
    return { published: { ...result, restore }, release }
  }

  /**
   * Puts bytes that are here already into an open package.
   *
   * @throws ArtifactError `object_not_found`; what `ingest` throws of packages and paths
   */
  async addExisting(packageId: string, o: ExistingFile): Promise<IngestedFile> {
    const address = parseContentAddress(o.contentAddress)
    const wanted = await this.#placing.prepare(packageId, { ...o, key: keyOf(o) })
    return this.#placing.commitExisting(wanted, address)
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
