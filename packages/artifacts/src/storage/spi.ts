/**
 * What the store asks of a place for bytes (06 §8). An object is named by its content, is written once and never changes;
 * so a write that is repeated, by whomever, writes the same.
 *
 * Every operation reads its address again: a text that is no address never becomes a name of anything. What every
 * operation but `health` may throw beside what it names: ArtifactError `backend_unavailable`, when the backend is another
 * host and cannot be reached or does not let us in.
 */
import type { ContentAddress } from '../identity/content-address.ts'

/** Proof that the bytes of an address are kept: given only after they are durable. */
export interface StorageReceipt {
  readonly contentAddress: ContentAddress
  readonly backendId: string
  /** The name of the object in the backend, relative to what the backend is set up with. */
  readonly objectKey: string
  readonly sizeBytes: number
  /** Milliseconds since the epoch, UTC. */
  readonly storedAt: number
  /** True: the object was there before, with this size, and what was given was dropped. */
  readonly existed: boolean
  /** True: what was there had another size, as a power cut can leave it, and was replaced. */
  readonly healed: boolean
}

/** Bytes on their way into a backend, under no address yet. */
export interface StagedBlob {
  /** Bytes written so far, those on their way included. */
  readonly sizeBytes: number
  /**
   * Appends. Several may be on their way at once; the chunk may be used again when its promise is fulfilled.
   *
   * @throws ArtifactError `insufficient_storage`, `storage_io`; nothing can be published from this blob then
   */
  write(chunk: Uint8Array): Promise<void>
  /** Drops the bytes. After `put` has taken the blob, and when repeated, it changes nothing. */
  discard(): Promise<void>
}

/** First and last byte, both included, counted from 0. Without `end`: up to the last byte there is. */
export interface ByteRange {
  readonly start: number
  readonly end?: number
}

export interface StoredObject {
  readonly size: number
  /** What of it `body` gives: first and last byte, or null for all of it. */
  readonly range: readonly [number, number] | null
  /** Holds what it reads from until it was read to its end, or its iteration was ended. */
  readonly body: AsyncIterable<Uint8Array>
}

export interface ObjectHead {
  readonly size: number
  /** Milliseconds since the epoch, UTC, by the clock of the backend. */
  readonly storedAt: number
}

export interface ListedObject extends ObjectHead {
  readonly address: ContentAddress
}

/** Whether a backend can be used, and how much it still takes; null: it does not know. */
export interface BackendStatus {
  readonly backendId: string
  readonly healthy: boolean
  readonly readOnly: boolean
  readonly freeBytes: number | null
  readonly totalBytes: number | null
  /** What is wrong, for a person; null when nothing is. */
  readonly detail: string | null
}

export interface PutOptions {
  /** The staged blob can be put again, until it is discarded: its owner is not sure yet that the object will stay. */
  readonly keep?: boolean
  /** Replaces what is there, also when it has the same size: it is known to be something else. */
  readonly replace?: boolean
  /** Ends a put that still reads its source. */
  readonly signal?: AbortSignal
}

/** What is known of bytes before they come. */
export interface StageOptions {
  /**
   * Whose bytes they will be. A backend far away may then send them where they belong while they come; so they can be put
   * once, under this address, and not be kept.
   */
  readonly expected?: ContentAddress
}

export interface StorageBackend {
  readonly backendId: string

  /**
   * Makes bytes durable under their address. The caller vouches that they are those of the address. A blob is taken from
   * this backend's `stage`; it is consumed whatever comes of it, unless it is to be kept.
   *
   * @throws ArtifactError `invalid_content_address`, `insufficient_storage`, `storage_io`: nothing was published
   */
  put(address: ContentAddress, source: AsyncIterable<Uint8Array> | StagedBlob, o?: PutOptions): Promise<StorageReceipt>

  /** @throws ArtifactError `object_not_found`, `range_not_satisfiable`, `storage_io` */
  get(address: ContentAddress, range?: ByteRange): Promise<StoredObject>

  /** @throws ArtifactError `object_not_found`, `storage_io` */
  head(address: ContentAddress): Promise<ObjectHead>

  /** Removes an object durably. @returns false when there was none */
  delete(address: ContentAddress): Promise<{ readonly deleted: boolean }>

  /** Looks whether the backend can be used. What is wrong is in the answer; it never throws. */
  health(): Promise<BackendStatus>

  /**
   * A place for bytes that have no address yet, or are not known to be those of the one that is expected.
   *
   * @throws ArtifactError `insufficient_storage`, `storage_io`
   */
  stage(o?: StageOptions): Promise<StagedBlob>

  /** All objects in the order of their addresses, those after `after`. What comes and goes meanwhile may be missed. */
  list(o?: { readonly after?: ContentAddress }): AsyncIterable<ListedObject>
}
