/** What sharing needs of whoever carries ciphertext (04 §8). */
import type { ContentAddress } from '@claudemesh/artifacts'

export interface BlobToUpload {
  readonly address: ContentAddress
  readonly sizeBytes: number
  /** Member ids; at least one. */
  readonly recipients: readonly string[]
  /** Milliseconds since the epoch, UTC. */
  readonly expiresAt: number
  /** The blob from a byte on, to its end; the same bytes whenever it is called. */
  readonly read: (start: number) => AsyncIterable<Uint8Array>
}

export interface BlobToDownload {
  readonly address: ContentAddress
  readonly sizeBytes: number
  readonly start: number
}

export interface BlobRelay {
  /** Uploads what is missing; resolves when the relay has all of it, durably. */
  upload(blob: BlobToUpload, o: { readonly signal: AbortSignal }): Promise<void>
  /** Bytes from `start` on. */
  download(blob: BlobToDownload, o: { readonly signal: AbortSignal }): AsyncIterable<Uint8Array>
  /** Tells the relay that this recipient has all of it. */
  acknowledge(address: ContentAddress): Promise<void>
}
