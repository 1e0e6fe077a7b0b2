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
import { checkIdempotencyKey } from '../input.ts'
import type { IngestSlots } from './ingest-slots.ts'
import type { FilePlace, IngestedFile, Placing } from './placing.ts'

/** A place that may be asked for again with the same key. */
interface AskedPlace extends FilePlace {
  readonly idempotencyKey?: string
}

export interface NewFile extends AskedPlace {
  readonly source: AsyncIterable<Uint8Array>
  /** Which bytes they will be; others are `digest_mismatch`. */
  readonly expected?: ContentAddress
  /** SHA-256 that they will have, in lower-case hexadecimal digits; another one is `digest_mismatch`. */
  readonly expectedSha256?: string
  /** How many there will be; another number is `size_mismatch`. */
  readonly sizeHint?: number
  readonly signal?: AbortSignal
}

export interface ExistingFile extends AskedPlace {
  readonly contentAddress: ContentAddress
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
  async ingest(packageId: string, o: NewFile): Promise<IngestedFile> {
    awaitReader(o.source)
    const wanted = await this.#placing.prepare(packageId, { ...o, key: keyOf(o) })
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
        const { held } = result
        const restore = async (o: { readonly replace: boolean }) => {
          if (held !== null) await this.#plane.restore(held, o)
        }
        return await this.#placing.commit(wanted, { ...result, restore })
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

/** @throws ArtifactError `invalid_request` */
function keyOf({ idempotencyKey }: AskedPlace): string | null {
  return idempotencyKey === undefined ? null : checkIdempotencyKey(idempotencyKey)
}
