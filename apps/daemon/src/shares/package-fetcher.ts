/**
 * Brings what is shared into the store (06 §17): a package for it, filled by `ContentFetcher`, and finalized when all of it is
 * there. What an earlier process has brought is not fetched again.
 */
import type { ContentAddress, IncomingShare, Manifest, ManifestFile, Package } from '@claudemesh/artifacts'
import { type ErrorCode, MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import type { BlobRelay } from './blob-relay.ts'
import { ContentFetcher, type WantedFile } from './content-fetcher.ts'
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

export class PackageFetcher {
  readonly #store: ShareStore
  readonly #relay: BlobRelay
  readonly #contents: ContentFetcher
  readonly #actor: string

  /** @param o.selfId member id of this host */
  constructor(o: {
    readonly store: ShareStore
    readonly room: ShareRoom
    readonly relay: BlobRelay
    readonly selfId: string
  }) {
    this.#store = o.store
    this.#relay = o.relay
    this.#contents = new ContentFetcher(o)
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
      const contents = await decodeContents(await this.#contents.read(sealed.contents, o))
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
    const fileId = await this.#contents.bring(found.packageId, file, { ...fetching, blob: sealed.blob })
    crashPoint('daemon.share.ingested')
    await this.#finalize(found)
    return { packageId: found.packageId, fileId }
  }

  async #fetchPackage(fetching: Fetching): Promise<Fetched> {
    const { content, sealed, share } = fetching.incoming
    if (sealed.contents === null) throw new Error('a package has a list of contents')
    const manifest = await this.#readManifest(fetching)
    const contents = await decodeContents(await this.#contents.read(sealed.contents, fetching))
    const { artifact_type: artifactType, path_policy: pathPolicy } = manifest.package
    const found = await this.#openPackage(fetching.incoming, { name: content.name, artifactType, pathPolicy })
    const { packageId } = found
    const brought = new Set<string>()
    for (const file of manifest.files) {
      fetching.signal.throwIfAborted()
      const wanted = wantedFile(file)
      if (brought.has(wanted.address)) {
        await this.#contents.repeat(packageId, wanted)
        continue
      }
      const blob = contents.get(wanted.address)
      if (blob === undefined)
        throw new MeshError('share_corrupt', { detail: 'The list lacks a content of the package' })
      await this.#contents.bring(packageId, wanted, { ...fetching, blob })
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
    const bytes = await this.#contents.read(sealed.blob, fetching)
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
      for (const { packageId } of items) {
        await registry.abortPackage(packageId, o)
        for (const { uploadId } of await registry.listUploads(packageId)) await registry.abortUpload(uploadId)
      }
    })
  }
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

function isCorrupt({ code }: MeshError): boolean {
  return corruptCodes.has(code) || code.startsWith('cbor_')
}
