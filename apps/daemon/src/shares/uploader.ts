/** Brings all ciphertext of a share to the relay; what is there already is not sent again. */
import type { OutgoingShare, SealedBlob, SealedContent } from '@claudemesh/artifacts'
import { crashPoint } from '@claudemesh/storage'
import { shareBlobsAtOnceMax } from '../limits.ts'
import type { BlobRelay } from './blob-relay.ts'
import {
  bytesBlob,
  contentsOf,
  type DistinctContent,
  encodeContents,
  fileBlob,
  type PlainBlob,
  secretOf,
} from './parcel.ts'
import { loadLibrary, type ShareStore } from './share-store.ts'

interface Shipment {
  readonly secret: NonNullable<OutgoingShare['secret']>
  readonly recipients: readonly string[]
  readonly expiresAt: number
  readonly signal: AbortSignal
}

export class Uploader {
  readonly #store: ShareStore
  readonly #relay: BlobRelay

  constructor(o: { readonly store: ShareStore; readonly relay: BlobRelay }) {
    this.#store = o.store
    this.#relay = o.relay
  }

  /** @throws MeshError what the store and the relay throw; asked again, it goes on */
  async upload({ share, content }: OutgoingShare, shipment: Shipment): Promise<SealedContent> {
    const { fileId, packageId } = share
    if (fileId !== null) {
      const blob = fileBlob(this.#store, { fileId, sizeBytes: content.sizeBytes, number: 0 })
      return { blob: await this.#ship(blob, shipment), contents: null }
    }
    if (packageId === null) throw new Error('a share that goes out is of a file or of a package')
    const contents = await contentsOf(this.#store, packageId)
    const sealed = await this.#shipAll(contents, shipment)
    const list = bytesBlob(await encodeContents(sealed), contents.length + 1)
    const sealedList = await this.#ship(list, shipment)
    crashPoint('daemon.share.contents-uploaded')
    const manifest = await this.#store.use((registry) => registry.getManifestBytes(packageId, 'cbor'))
    return { blob: await this.#ship(bytesBlob(manifest, 0), shipment), contents: sealedList }
  }

  async #shipAll(contents: readonly DistinctContent[], shipment: Shipment) {
    const sealed: { address: DistinctContent['address']; blob: SealedBlob }[] = []
    let next = 0
    const work = async () => {
      for (let index = next++; index < contents.length; index = next++) {
        const { address, blob } = contents[index] as DistinctContent
        sealed[index] = { address, blob: await this.#ship(blob, shipment) }
      }
    }
    await Promise.all(Array.from({ length: shareBlobsAtOnceMax }, work))
    return sealed
  }

  /** Reads the bytes twice: the relay knows a blob by the address of its ciphertext. */
  async #ship(plain: PlainBlob, { secret, recipients, expiresAt, signal }: Shipment): Promise<SealedBlob> {
    const { sealBlob, sealedSize, getAlgorithm, formatContentAddress, makeDigest } = await loadLibrary()
    const { sizeBytes } = plain
    const sealFrom = (offset: number) =>
      sealBlob({
        secret: secretOf(secret, plain.number),
        sizeBytes,
        read: (start) => plain.read(start, signal),
        offset,
      })
    const hasher = getAlgorithm('blake3').create()
    for await (const chunk of sealFrom(0)) {
      signal.throwIfAborted()
      hasher.update(chunk)
    }
    const address = formatContentAddress(makeDigest('blake3', Buffer.from(hasher.digest()).toString('hex')))
    const blob = { address, sizeBytes: sealedSize(sizeBytes) }
    await this.#relay.upload({ ...blob, recipients, expiresAt, read: sealFrom }, { signal })
    return blob
  }
}
