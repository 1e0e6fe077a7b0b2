/** The data plane in this process: one pass over the bytes, and at most four blocks of 1 MiB of them in memory (06 §10). */
import { ArtifactError } from '../../artifact-error.ts'
import { abortable } from '../../identity/abortable.ts'
import {
  type ContentAddress,
  formatContentAddress,
  parseContentAddress,
  toDigest,
} from '../../identity/content-address.ts'
import { type DigestPair, DualDigest, digestStream } from '../../identity/dual-digest.ts'
import { awaitReader } from '../../identity/early-errors.ts'
import type { Backends } from '../../storage/backends.ts'
import type {
  BackendStatus,
  ListedObject,
  ObjectHead,
  StagedBlob,
  StorageBackend,
  StorageReceipt,
  StoredObject,
} from '../../storage/spi.ts'
import { BlockWriter } from '../block-writer.ts'
import type {
  AppendOptions,
  DataPlane,
  IngestOptions,
  IngestResult,
  ServeOptions,
  UploadSoFar,
  VerifyOptions,
  VerifyResult,
} from '../spi.ts'
import { checkedBody } from './checked-body.ts'
import { SpoolOfStore } from './spool-of-store.ts'

/** Bytes that are hashed at once; between two portions others have their turn. */
const portionBytes = 1024 * 1024

export class InProcessDataPlane implements DataPlane {
  readonly #backends: Backends
  readonly #backendIdDefault: string
  readonly #spool: SpoolOfStore
  readonly #held = new Map<string, Held>()
  #holds = 0

  constructor(o: {
    readonly backends: Backends
    readonly backendIdDefault: string
    /** Where uploads in pieces are kept, on the file system of a local backend; without it there are none. */
    readonly spoolDirectory?: string
  }) {
    this.#backends = o.backends
    this.#backendIdDefault = o.backendIdDefault
    this.#spool = new SpoolOfStore(o.spoolDirectory ?? null)
  }

  /** Lets others take the uploads. */
  close(): void {
    this.#spool.close()
  }

  async ingestStream(source: AsyncIterable<Uint8Array>, o: IngestOptions = {}): Promise<IngestResult> {
    awaitReader(source)
    const backend = this.#backend(o.backendId)
    const expected = o.expected === undefined ? null : parseContentAddress(o.expected)
    const digest = new DualDigest(expected === null ? o.primaryAlgorithm : toDigest(expected).algorithm)
    o.signal?.throwIfAborted()
    // Bytes that are held can be put again, so that they must be here.
    const isDirect = expected !== null && o.hold !== true
    const staged = await backend.stage(isDirect ? { expected } : {})
    let held: string | null = null
    try {
      await writeAll(source, { staged, digest, ...o })
      const { primary, sha256, sizeBytes } = digest.digest()
      const address = formatContentAddress(primary)
      assertSize(sizeBytes, o.sizeHint)
      if (expected !== null && address !== expected) {
        throw new ArtifactError('digest_mismatch', { detail: `The bytes are those of ${address}, not of ${expected}.` })
      }
      o.signal?.throwIfAborted()
      const receipt = await backend.put(address, staged, { keep: o.hold === true })
      if (o.hold === true) held = this.#hold({ backend, address, staged })
      return { primary, sha256, sizeBytes, receipt, deduplicated: receipt.existed, held }
    } finally {
      if (held === null) await staged.discard()
    }
  }

  async restore(held: string, o: { readonly replace?: boolean } = {}): Promise<void> {
    const { backend, address, staged } = this.#heldBytes(held)
    if (o.replace === true || (await this.headObject(address, backend.backendId)) === null) {
      await backend.put(address, staged, { keep: true, replace: o.replace === true })
    }
  }

  async release(held: string): Promise<void> {
    const { staged } = this.#heldBytes(held)
    this.#held.delete(held)
    await staged.discard()
  }

  async headObject(address: ContentAddress, backendId?: string): Promise<ObjectHead | null> {
    try {
      return await this.#backend(backendId).head(address)
    } catch (error) {
      if (error instanceof ArtifactError && error.code === 'object_not_found') return null
      throw error
    }
  }

  listObjects(backendId?: string): AsyncIterable<ListedObject> {
    return this.#backend(backendId).list()
  }

  listBackends(): readonly string[] {
    const others = this.#backends.list().filter((id) => id !== this.#backendIdDefault)
    return [this.#backendIdDefault, ...others]
  }

  async serveObject(address: ContentAddress, o: ServeOptions = {}): Promise<StoredObject> {
    const object = await this.#backend(o.backendId).get(address, o.range)
    const body = abortable(object.body, o.signal)
    const isChecked = object.range === null && o.verify !== false
    return { size: object.size, range: object.range, body: isChecked ? checkedBody(address, body) : body }
  }

  async verifyObject(address: ContentAddress, o: VerifyOptions = {}): Promise<VerifyResult> {
    const { algorithm } = toDigest(parseContentAddress(address))
    let actual: DigestPair
    try {
      const { body } = await this.#backend(o.backendId).get(address)
      actual = await digestStream(body, { primary: algorithm, ...(o.signal === undefined ? {} : { signal: o.signal }) })
    } catch (error) {
      if (!(error instanceof ArtifactError) || error.code !== 'object_not_found') throw error
      return { address, verified: false, mismatch: 'missing', actual: null }
    }
    const mismatch = findMismatch(address, actual, o)
    return { address, verified: mismatch === null, mismatch, actual }
  }

  async createUpload(id: string): Promise<void> {
    await this.#spool.take().create(id)
  }

  async appendUpload(upload: UploadSoFar, source: AsyncIterable<Uint8Array>, o: AppendOptions): Promise<number> {
    awaitReader(source)
    return this.#spool.take().append(upload, source, o)
  }

  async digestUpload(upload: UploadSoFar): Promise<DigestPair> {
    return this.#spool.take().digest(upload)
  }

  async publishUpload(
    upload: UploadSoFar,
    o: { readonly address: ContentAddress; readonly replace?: boolean },
  ): Promise<StorageReceipt> {
    return this.#spool.take().publish(upload, { backend: this.#backend(), ...o })
  }

  async dropUpload(id: string): Promise<void> {
    await this.#spool.take().remove(id)
  }

  async listUploads(): Promise<readonly string[]> {
    return this.#spool.take().list()
  }

  deleteObject(address: ContentAddress, backendId?: string): Promise<{ readonly deleted: boolean }> {
    return this.#backend(backendId).delete(address)
  }

  backendHealth(backendId?: string): Promise<BackendStatus> {
    return this.#backend(backendId).health()
  }

  #hold(held: Held): string {
    this.#holds += 1
    const token = String(this.#holds)
    this.#held.set(token, held)
    return token
  }

  #heldBytes(token: string): Held {
    const held = this.#held.get(token)
    if (held === undefined) throw new Error('bytes that nobody holds')
    return held
  }

  #backend(backendId = this.#backendIdDefault) {
    return this.#backends.get(backendId)
  }
}

/** Bytes that are published, and staged still. */
interface Held {
  readonly backend: StorageBackend
  readonly address: ContentAddress
  readonly staged: StagedBlob
}

interface Writing {
  readonly staged: StagedBlob
  readonly digest: DualDigest
  readonly sizeHint?: number
  readonly signal?: AbortSignal
}

async function writeAll(source: AsyncIterable<Uint8Array>, o: Writing): Promise<void> {
  const writer = new BlockWriter(o.staged)
  try {
    let sizeBytes = 0
    for await (const chunk of abortable(source, o.signal)) {
      // The first update finds what is no chunk, before its length is asked for.
      for (let start = 0; start === 0 || start < chunk.length; start += portionBytes) {
        const portion = chunk instanceof Uint8Array ? chunk.subarray(start, start + portionBytes) : chunk
        o.digest.update(portion)
        await writer.write(portion)
      }
      sizeBytes += chunk.length
      // More than was said is noticed at once: a source without an end must not fill the disk.
      if (o.sizeHint !== undefined && sizeBytes > o.sizeHint) assertSize(sizeBytes, o.sizeHint)
    }
    await writer.finish()
  } finally {
    await writer.settle()
  }
}

function assertSize(sizeBytes: number, expected: number | undefined): void {
  if (expected === undefined || sizeBytes === expected) return
  const found = sizeBytes > expected ? 'more' : String(sizeBytes)
  throw new ArtifactError('size_mismatch', { detail: `There should be ${expected} bytes, and there are ${found}.` })
}

/** In the order of what costs least to be sure of. */
function findMismatch(address: ContentAddress, actual: DigestPair, o: VerifyOptions): VerifyResult['mismatch'] {
  if (o.sizeBytes !== undefined && actual.sizeBytes !== o.sizeBytes) return 'size'
  if (formatContentAddress(actual.primary) !== address) return 'primary'
  return o.sha256 !== undefined && actual.sha256.hex !== o.sha256 ? 'sha256' : null
}
