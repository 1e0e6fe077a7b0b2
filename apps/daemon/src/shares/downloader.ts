/**
 * Brings what is shared into the store (06 §17): ciphertext from the relay is opened as a stream into a package, and is
 * published only when its tags, its size and both its digests are right. What an earlier process has brought is not
 * fetched again. The package is finalized when all of it is there.
 */
import type { ContentAddress, IncomingShare, Manifest, ManifestFile, Package, SealedBlob } from '@claudemesh/artifacts'
import { type ErrorCode, MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { BlobRelay } from './blob-relay.ts'
import { decodeContents } from './parcel.ts'
import { loadLibrary, type ShareRoom, type ShareStore } from './share-store.ts'

/** What was brought: a finalized package, and its one file where a file was shared. */
export interface Fetched {
  readonly packageId: string
  readonly fileId: string | null
}

interface Fetching {
  readonly incoming: IncomingShare
  readonly key: Uint8Array
  readonly signal: AbortSignal
}

/** What says that the bytes are not those that were shared. */
const corruptCodes: ReadonlySet<string> = new Set<ErrorCode>([
  'digest_mismatch',
  'size_mismatch',
  'manifest_invalid',
  'manifest_version_unsupported',
  'share_corrupt',
])

/** How long what was received is kept. */
const retentionClass = 'raw-evidence'

export class Downloader {
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

  /** @throws MeshError `share_corrupt`, and what the store and the relay throw */
  async fetch(
    incoming: IncomingShare,
    o: { readonly key: Uint8Array; readonly signal: AbortSignal },
  ): Promise<Fetched> {
    const fetching = { ...o, incoming }
    try {
      return incoming.sealed.contents === null ? await this.#fetchFile(fetching) : await this.#fetchPackage(fetching)
    } catch (error) {
      if (!(error instanceof MeshError) || !isCorrupt(error)) throw error
      await this.#drop(incoming)
      if (error.code === 'share_corrupt') throw error
      const detail = `What arrived is not what was shared. ${error.message}`
      throw new MeshError('share_corrupt', { detail, cause: error })
    }
  }

  /** Tells the relay that nothing of it is wanted any more; the relay forgets it by itself in the end. */
  async acknowledge({ sealed }: IncomingShare, o: { readonly key: Uint8Array; readonly signal: AbortSignal }) {
    const addresses = [sealed.blob.address]
    if (sealed.contents !== null) {
      const contents = await decodeContents(await this.#read(sealed.contents, o))
      addresses.push(...[...contents.values()].map(({ address }) => address), sealed.contents.address)
    }
    for (const address of addresses) await this.#relay.acknowledge(address)
  }

  async #fetchFile(fetching: Fetching): Promise<Fetched> {
    const { content, sealed } = fetching.incoming
    const { name, mediaType } = content
    const found = await this.#openPackage(fetching.incoming, { name, artifactType: null, pathPolicy: 'portable' })
    const { sizeBytes, sha256, contentAddress } = content
    const file = { path: name, mediaType, sizeBytes, sha256, address: contentAddress, annotations: {} }
    const fileId = await this.#bring(found.packageId, file, { ...fetching, blob: sealed.blob })
    crashPoint('daemon.share.ingested')
    await this.#finalize(found)
    return { packageId: found.packageId, fileId }
  }

  async #fetchPackage(fetching: Fetching): Promise<Fetched> {
    const { content, sealed, share } = fetching.incoming
    if (sealed.contents === null) throw new Error('a package has a list of contents')
    const manifest = await this.#readManifest(fetching)
    const contents = await decodeContents(await this.#read(sealed.contents, fetching))
    const { artifact_type: artifactType, path_policy: pathPolicy } = manifest.package
    const found = await this.#openPackage(fetching.incoming, { name: content.name, artifactType, pathPolicy })
    const { packageId } = found
    const brought = new Set<string>()
    for (const file of manifest.files) {
      fetching.signal.throwIfAborted()
      const wanted = wantedFile(file)
      if (brought.has(wanted.address)) {
        await this.#repeat(packageId, wanted)
        continue
      }
      const blob = contents.get(wanted.address)
      if (blob === undefined)
        throw new MeshError('share_corrupt', { detail: 'The list lacks a content of the package' })
      await this.#bring(packageId, wanted, { ...fetching, blob })
      brought.add(wanted.address)
      crashPoint('daemon.share.content-ingested')
    }
    await this.#finalize(found)
    const { contentRoot } = await this.#store.use((registry) => registry.getPackage(packageId))
    if (contentRoot !== manifest.package.content_root) {
      throw new Error(`what was brought of share ${share.shareId} is not what its manifest says`)
    }
    return { packageId, fileId: null }
  }

  async #readManifest(fetching: Fetching): Promise<Manifest> {
    const { content, sealed } = fetching.incoming
    const { decodeManifest, digestBytes, formatContentAddress, limitsDefault } = await loadLibrary()
    const bytes = await this.#read(sealed.blob, fetching)
    const { primary, sha256 } = digestBytes(bytes)
    if (formatContentAddress(primary) !== content.contentAddress || sha256.hex !== content.sha256) {
      throw new MeshError('share_corrupt', { detail: 'The manifest is not the one that was announced' })
    }
    const manifest = decodeManifest(bytes)
    const { total_size_bytes: totalBytes, file_count: fileCount } = manifest.package
    if (totalBytes !== content.sizeBytes || fileCount > limitsDefault.filesMax) {
      throw new MeshError('share_corrupt', { detail: 'The package is not as large as was announced' })
    }
    return manifest
  }

  /** A whole blob that is small enough to be held: a manifest or a list. @throws MeshError `share_corrupt` */
  async #read(
    blob: SealedBlob,
    { key, signal }: { readonly key: Uint8Array; readonly signal: AbortSignal },
  ): Promise<Uint8Array> {
    const { manifestBytesMax, openBlob, sealedSize } = await loadLibrary()
    if (blob.sizeBytes > sealedSize(manifestBytesMax)) {
      throw new MeshError('share_corrupt', { detail: 'A manifest or list is larger than one may be' })
    }
    const chunks: Uint8Array[] = []
    for await (const chunk of openBlob(key, this.#download(blob, signal))) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  /** The ciphertext, which may not go on for longer than was announced. */
  async *#download(blob: SealedBlob, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let bytes = 0
    for await (const chunk of this.#relay.download({ ...blob, start: 0 }, { signal })) {
      bytes += chunk.length
      if (bytes > blob.sizeBytes) {
        throw new MeshError('share_corrupt', { detail: 'The ciphertext is longer than was announced' })
      }
      yield chunk
    }
  }

  /** The package that the share goes into: the one that an earlier attempt has begun, or a new one. */
  #openPackage(
    { share }: IncomingShare,
    o: { name: string; artifactType: string | null; pathPolicy: Package['pathPolicy'] },
  ): Promise<Package> {
    const { shareId, peer, contentAddress } = share
    const { name, artifactType, pathPolicy } = o
    return this.#store.use(async (registry) => {
      for (const status of ['created', 'finalized']) {
        const begun = await registry.listPackages({ producer: peer, status, metadata: { share_id: shareId }, limit: 1 })
        if (begun.items[0] !== undefined) return begun.items[0]
      }
      return registry.createPackage({
        name,
        producer: peer,
        retentionClass,
        ...(artifactType === null ? {} : { artifactType }),
        pathPolicy,
        metadata: { share_id: shareId },
        provenance: { importedFrom: contentAddress },
        actor: this.#actor,
      })
    })
  }

  /** Fetches one file into the package, unless it is there. @returns its id */
  async #bring(packageId: string, file: WantedFile, from: Fetching & { readonly blob: SealedBlob }): Promise<string> {
    const present = await this.#findPresent(packageId, file)
    if (present !== null) return present
    const { openBlob, sealedSize } = await loadLibrary()
    const { blob, key, signal } = from
    if (blob.sizeBytes !== sealedSize(file.sizeBytes)) {
      throw new MeshError('share_corrupt', {
        detail: 'A content and its ciphertext have sizes that do not go together',
      })
    }
    const ingested = await this.#store.use((registry) =>
      registry.ingestFile(packageId, {
        ...placeOf(file, this.#actor),
        source: this.#room.within(openBlob(key, this.#download(blob, signal))),
        expected: file.address,
        expectedSha256: file.sha256,
        sizeHint: file.sizeBytes,
        signal,
      }),
    )
    if (!ingested.deduplicated) this.#room.taken(ingested.sizeBytes)
    return ingested.fileId
  }

  /** Puts a content of the package under another path of it. */
  async #repeat(packageId: string, file: WantedFile): Promise<void> {
    if ((await this.#findPresent(packageId, file)) !== null) return
    const place = { ...placeOf(file, this.#actor), contentAddress: file.address }
    await this.#store.use((registry) => registry.addExisting(packageId, place))
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

  async #finalize({ packageId }: Package): Promise<void> {
    const o = { actor: this.#actor, allowEmpty: true }
    await this.#store.use((registry) => registry.finalizePackage(packageId, o))
  }

  /** What was begun of it is given up: none of it may be taken for what was shared. */
  async #drop({ share }: IncomingShare): Promise<void> {
    await this.#store.use(async (registry) => {
      const metadata = { share_id: share.shareId }
      const { items } = await registry.listPackages({ producer: share.peer, status: 'created', metadata })
      const o = { actor: this.#actor, reason: 'what arrived is not what was shared' }
      for (const { packageId } of items) await registry.abortPackage(packageId, o)
    })
  }
}

interface WantedFile {
  readonly path: string
  readonly mediaType: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly address: ContentAddress
  readonly annotations: Readonly<Record<string, string>>
}

function wantedFile(file: ManifestFile): WantedFile {
  return {
    path: file.relative_path,
    mediaType: file.media_type,
    sizeBytes: file.size_bytes,
    sha256: file.digest_sha256,
    address: file.content_address as ContentAddress,
    annotations: file.annotations as Readonly<Record<string, string>>,
  }
}

function placeOf({ path, mediaType, annotations }: WantedFile, actor: string) {
  return { relativePath: path, mediaType, annotations, actor }
}

function isCorrupt({ code }: MeshError): boolean {
  return corruptCodes.has(code) || code.startsWith('cbor_')
}
