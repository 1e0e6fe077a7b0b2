/**
 * What a share is as ciphertext (06 §17): one blob for a file; for a package one for its manifest, one for each distinct
 * content in the order of their addresses, and one for the list of what these became.
 *
 * Each blob has the key of the share and a nonce of its own, which follows from that of the share and its number: whoever
 * seals it again gets the same bytes, and an upload that was interrupted goes on.
 */
import { createHmac } from 'node:crypto'
import type {
  BlobSecret,
  ContentAddress,
  OutgoingShare,
  PackageFile,
  Registry,
  SealedBlob,
} from '@claudemesh/artifacts'
import { MeshError } from '@claudemesh/protocol'
import { loadLibrary, type ShareStore } from './share-store.ts'

/** Bytes that are sealed as one blob. */
export interface PlainBlob {
  /** 0 is the file, or the manifest. */
  readonly number: number
  readonly sizeBytes: number
  readonly read: (start: number, signal: AbortSignal) => AsyncIterable<Uint8Array>
}

/** The contents of a package, each once, in the order of their addresses. */
export interface DistinctContent {
  readonly address: ContentAddress
  readonly blob: PlainBlob
}

const filesPerPage = 500

/** A file of the store as a blob. */
export function fileBlob(store: ShareStore, o: { fileId: string; sizeBytes: number; number: number }): PlainBlob {
  return {
    number: o.number,
    sizeBytes: o.sizeBytes,
    read: async function* (start, signal) {
      const range = start === 0 ? {} : { range: { start } }
      const { body } = await store.use((registry) => registry.getFile(o.fileId, { ...range, signal }))
      yield* body
    },
  }
}

/** Bytes at hand as a blob. */
export function bytesBlob(bytes: Uint8Array, number: number): PlainBlob {
  return {
    number,
    sizeBytes: bytes.length,
    read: async function* (start) {
      yield bytes.subarray(start)
    },
  }
}

/** What a package holds, as blobs. */
export async function contentsOf(store: ShareStore, packageId: string): Promise<readonly DistinctContent[]> {
  const files = new Map<ContentAddress, PackageFile>()
  for (let after: string | null = ''; after !== null; ) {
    const page: Awaited<ReturnType<Registry['listFiles']>> = await store.use((registry) =>
      registry.listFiles(packageId, { after: after ?? '', limit: filesPerPage }),
    )
    for (const file of page.items) files.set(file.contentAddress, file)
    after = page.next
  }
  const sorted = [...files.values()].sort((a, b) => (a.contentAddress < b.contentAddress ? -1 : 1))
  return sorted.map(({ fileId, sizeBytes, contentAddress }, index) => ({
    address: contentAddress,
    blob: fileBlob(store, { fileId, sizeBytes, number: index + 1 }),
  }))
}

/** The list of what the contents became: canonical CBOR, `[content address, sealed address, sealed size]` for each. */
export async function encodeContents(
  sealed: readonly { readonly address: ContentAddress; readonly blob: SealedBlob }[],
): Promise<Uint8Array> {
  const { encodeCanonical } = await loadLibrary()
  return encodeCanonical(sealed.map(({ address, blob }) => [address, blob.address, blob.sizeBytes]))
}

/** @throws MeshError `share_corrupt`: it is no such list */
export async function decodeContents(bytes: Uint8Array): Promise<ReadonlyMap<string, SealedBlob>> {
  const { decodeCanonical, manifestBytesMax, parseContentAddress } = await loadLibrary()
  try {
    const rows = decodeCanonical(bytes, { maxBytes: manifestBytesMax }) as readonly (readonly [
      string,
      string,
      number,
    ])[]
    return new Map(
      rows.map(([content, address, sizeBytes]) => {
        if (!Number.isSafeInteger(sizeBytes)) throw new TypeError('a size is a number')
        return [parseContentAddress(content), { address: parseContentAddress(address), sizeBytes }]
      }),
    )
  } catch (cause) {
    throw new MeshError('share_corrupt', { detail: 'The list of what a shared package holds is none', cause })
  }
}

/** With what one blob of a share is sealed. */
export function secretOf(secret: NonNullable<OutgoingShare['secret']>, number: number): BlobSecret {
  const { key, nonce } = secret
  if (number === 0) return { key, nonce }
  const counter = Buffer.alloc(4)
  counter.writeUInt32BE(number)
  return { key, nonce: createHmac('sha256', nonce).update(counter).digest().subarray(0, nonce.length) }
}
