/**
 * Brings one content of a share from the relay (06 §17): its ciphertext is opened as a stream, and it is published only when
 * its tags, its size and both its digests are right.
 *
 * A large one comes as an upload into the store, which knows after a restart how much of it is on the disk: it goes on there.
 * A small one comes at once; to fetch it anew costs less than to keep a record of it.
 */
import type { ContentAddress, SealedBlob, Upload } from '@claudemesh/artifacts'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { resumedContentBytesMin } from '../limits.ts'
import type { BlobRelay } from './blob-relay.ts'
import { loadLibrary, type ShareRoom, type ShareStore } from './share-store.ts'

/** A file that a package is to have. */
export interface WantedFile {
  readonly path: string
  readonly mediaType: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly address: ContentAddress
  readonly annotations: Readonly<Record<string, string>>
}

interface Opening {
  readonly key: Uint8Array
  readonly signal: AbortSignal
}

interface Source extends Opening {
  readonly blob: SealedBlob
}

export class ContentFetcher {
  readonly #store: ShareStore
  readonly #room: ShareRoom
  readonly #relay: BlobRelay
  readonly #actor: string

  /** @param o.selfId member id of this host */
  constructor(o: {
    readonly store: ShareStore
    readonly room: ShareRoom
    readonly relay: BlobRelay
    readonly selfId: string
  }) {
    this.#store = o.store
    this.#room = o.room
    this.#relay = o.relay
    this.#actor = o.selfId
  }

  /**
   * Fetches one file into the package, unless it is there.
   *
   * @returns its id
   * @throws MeshError `share_corrupt`, `digest_mismatch`, `size_mismatch`: it is not what was announced; what the store and the
   *   relay throw
   */
  async bring(packageId: string, file: WantedFile, from: Source): Promise<string> {
    const present = await this.#findPresent(packageId, file)
    if (present !== null) return present
    const { sealedSize } = await loadLibrary()
    if (from.blob.sizeBytes !== sealedSize(file.sizeBytes)) {
      throw new MeshError('share_corrupt', {
        detail: 'A content and its ciphertext have sizes that do not go together',
      })
    }
    const isLarge = file.sizeBytes >= resumedContentBytesMin
    const ingested = isLarge ? await this.#resume(packageId, file, from) : await this.#ingest(packageId, file, from)
    if (!ingested.deduplicated) this.#room.taken(ingested.sizeBytes)
    return ingested.fileId
  }

  /** Puts a content of the package under another path of it. */
  async repeat(packageId: string, file: WantedFile): Promise<void> {
    if ((await this.#findPresent(packageId, file)) !== null) return
    const place = { ...this.#placeOf(file), contentAddress: file.address }
    await this.#store.use((registry) => registry.addExisting(packageId, place))
  }

  /** A whole blob that is small enough to be held: a manifest or a list. @throws MeshError `share_corrupt` */
  async read(blob: SealedBlob, { key, signal }: Opening): Promise<Uint8Array> {
    const { manifestBytesMax, sealedSize } = await loadLibrary()
    if (blob.sizeBytes > sealedSize(manifestBytesMax)) {
      throw new MeshError('share_corrupt', { detail: 'A manifest or list is larger than one may be' })
    }
    const chunks: Uint8Array[] = []
    for await (const chunk of await this.#open({ blob, key, signal }, 0)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  async #ingest(packageId: string, file: WantedFile, from: Source) {
    const source = this.#room.within(await this.#open(from, 0))
    const { address: expected, sha256: expectedSha256, sizeBytes: sizeHint } = file
    const wanted = { ...this.#placeOf(file), source, expected, expectedSha256, sizeHint, signal: from.signal }
    return this.#store.use((registry) => registry.ingestFile(packageId, wanted))
  }

  async #resume(packageId: string, file: WantedFile, from: Source) {
    const { uploadId, offset } = await this.#findUpload(packageId, file)
    if (offset < file.sizeBytes) {
      const source = this.#room.within(await this.#open(from, offset))
      const { signal } = from
      const upload = await this.#store.use((registry) => registry.appendUpload(uploadId, { offset, source, signal }))
      if (upload.offset !== file.sizeBytes) {
        throw new MeshError('share_corrupt', { detail: 'A content is shorter than was announced' })
      }
    }
    crashPoint('daemon.share.content-spooled')
    const { annotations, sha256: expectedSha256 } = file
    const completion = { annotations, expectedSha256, actor: this.#actor }
    return this.#store.use((registry) => registry.completeUpload(uploadId, completion))
  }

  /** The upload that an earlier attempt has begun, or a new one. */
  #findUpload(packageId: string, file: WantedFile): Promise<Upload> {
    const { address: expected, sizeBytes } = file
    return this.#store.use(async (registry) => {
      const begun = (await registry.listUploads(packageId)).find((upload) => upload.expected === expected)
      return begun ?? registry.createUpload(packageId, { ...this.#placeOf(file), expected, sizeBytes })
    })
  }

  /** A content from one of its bytes on. */
  async #open({ blob, key, signal }: Source, offset: number): Promise<AsyncIterable<Uint8Array>> {
    const { openBlob } = await loadLibrary()
    return openBlob({ key, read: (start) => this.#download(blob, { start, signal }), offset })
  }

  /** The ciphertext, which may not go on for longer than was announced. */
  async *#download(blob: SealedBlob, { start, signal }: { start: number; signal: AbortSignal }) {
    let at = start
    for await (const chunk of this.#relay.download({ ...blob, start }, { signal })) {
      at += chunk.length
      if (at > blob.sizeBytes) {
        throw new MeshError('share_corrupt', { detail: 'The ciphertext is longer than was announced' })
      }
      yield chunk
    }
  }

  async #findPresent(packageId: string, { path, address }: WantedFile): Promise<string | null> {
    try {
      const found = await this.#store.use((registry) => registry.resolve({ packageId, path }))
      return found.contentAddress === address ? found.fileId : null
    } catch (error) {
      if (error instanceof MeshError && error.code === 'file_not_found') return null
      throw error
    }
  }

  #placeOf({ path, mediaType, annotations }: WantedFile) {
    return { relativePath: path, mediaType, annotations, actor: this.#actor }
  }
}
