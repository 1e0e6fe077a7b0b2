/**
 * The only way in which the rest of the store touches bytes (06 §10). What crosses it is plain data, so that the other
 * side can be another process.
 */
import type { AlgorithmName } from '../identity/algorithms.ts'
import type { ContentAddress, Digest } from '../identity/content-address.ts'
import type { DigestPair } from '../identity/dual-digest.ts'
import type {
  BackendStatus,
  ByteRange,
  ListedObject,
  ObjectHead,
  StorageReceipt,
  StoredObject,
} from '../storage/spi.ts'

export interface IngestOptions {
  /** How many bytes there will be; another number is `size_mismatch`. */
  readonly sizeHint?: number
  /** `blake3` unless another is asked for. */
  readonly primaryAlgorithm?: AlgorithmName
  readonly backendId?: string
  /** Which bytes they will be; others are `digest_mismatch`. Its algorithm is the primary one. */
  readonly expected?: ContentAddress
  /** Keeps what was staged until `release`, so that `restore` can publish it again. */
  readonly hold?: boolean
  readonly signal?: AbortSignal
}

export interface IngestResult {
  readonly primary: Digest
  readonly sha256: Digest
  readonly sizeBytes: number
  readonly receipt: StorageReceipt
  /** The bytes were there before. */
  readonly deduplicated: boolean
  /** What `restore` and `release` take, when the bytes are held; else null. */
  readonly held: string | null
}

export interface ServeOptions {
  readonly range?: ByteRange
  /** False: give the bytes as they are. Otherwise all of an object is checked while it is read; a range never is. */
  readonly verify?: boolean
  readonly backendId?: string
  readonly signal?: AbortSignal
}

export interface VerifyResult {
  readonly address: ContentAddress
  readonly verified: boolean
  readonly mismatch: null | 'missing' | 'size' | 'primary' | 'sha256'
  /** What is there; null when nothing is. */
  readonly actual: DigestPair | null
}

/** What the records say of an object beyond its address. */
export interface VerifyOptions {
  readonly backendId?: string
  readonly sizeBytes?: number
  /** Lower-case hexadecimal digits. */
  readonly sha256?: string
  readonly signal?: AbortSignal
}

/** An upload as the records have it. */
export interface UploadSoFar {
  /** A ULID. */
  readonly id: string
  /** How many of its bytes are durable. */
  readonly offset: number
  /** What its primary digest is of, from its first byte to its last; BLAKE3 unless another is said. */
  readonly algorithm?: AlgorithmName
}

export interface AppendOptions {
  /** How many bytes there may be, those that are there included; more are `size_mismatch`. */
  readonly bytesMax: number
  /** Changes the record to a new offset, durably. Called when the source has ended, and now and then before. */
  readonly record: (offset: number) => Promise<void>
  readonly signal?: AbortSignal
}

/**
 * Five operations on bytes, and what the store asks so that no reference is ever without its bytes: to hold staged bytes
 * until the reference is committed, to look whether an object is there, to list objects, and to take
 * uploads in pieces.
 */
export interface DataPlane {
  /**
   * Reads a source once, hashing while it writes, and publishes the bytes under their primary address.
   *
   * @throws ArtifactError `digest_mismatch`, `size_mismatch`, `invalid_chunk`, `insufficient_storage`, `storage_io`,
   *   `backend_unknown`; errors of the source and the reason of the signal as they are. Nothing was published then
   */
  ingestStream(source: AsyncIterable<Uint8Array>, o?: IngestOptions): Promise<IngestResult>

  /**
   * Gives an object. Of one that is checked and turns out corrupt, the end is withheld: `body` throws `object_corrupt`
   * before its last 64 KiB, so that nobody gets all of a file that is not the one that was asked for.
   *
   * @throws ArtifactError `object_not_found`, `range_not_satisfiable`, `storage_io`, `backend_unknown`
   */
  serveObject(address: ContentAddress, o?: ServeOptions): Promise<StoredObject>

  /** Reads an object again and says whether it is what it should be. @throws ArtifactError `storage_io` */
  verifyObject(address: ContentAddress, o?: VerifyOptions): Promise<VerifyResult>

  /**
   * Publishes held bytes again when the object has gone meanwhile, or in any case with `replace`. Whoever calls it holds
   * the lock of the address, so that nobody deletes the object between this and what refers to it.
   *
   * @throws ArtifactError `insufficient_storage`, `storage_io`
   */
  restore(held: string, o?: { readonly replace?: boolean }): Promise<void>
  /** Drops held bytes; what was published of them stays. */
  release(held: string): Promise<void>

  /** Whether an object is there; null: it is not. @throws ArtifactError `storage_io` */
  headObject(address: ContentAddress, backendId?: string): Promise<ObjectHead | null>
  /** All objects of a backend in the order of their addresses. */
  listObjects(backendId?: string): AsyncIterable<ListedObject>
  /** Ids of the backends, the one for new bytes first. */
  listBackends(): readonly string[]

  /** Begins an upload with no bytes. @throws ArtifactError `upload_busy`: another process takes the uploads of this store */
  createUpload(id: string): Promise<void>
  /**
   * Appends what a source gives. What came before the source failed is recorded all the same.
   *
   * @returns the new offset
   * @throws ArtifactError `upload_busy`, `upload_not_found`, `size_mismatch`, `insufficient_storage`, `storage_io`,
   *   `invalid_chunk`; what `record` throws; errors of the source and the reason of the signal as they are
   */
  appendUpload(upload: UploadSoFar, source: AsyncIterable<Uint8Array>, o: AppendOptions): Promise<number>
  /** @throws ArtifactError `upload_busy`, `upload_not_found`, `storage_io` */
  digestUpload(upload: UploadSoFar): Promise<DigestPair>
  /**
   * Publishes the bytes of an upload that is complete, and keeps them until `dropUpload`. May be repeated.
   *
   * @throws ArtifactError `upload_busy`, `upload_not_found`, `insufficient_storage`, `storage_io`, `backend_unknown`
   */
  publishUpload(
    upload: UploadSoFar,
    o: { readonly address: ContentAddress; readonly replace?: boolean },
  ): Promise<StorageReceipt>
  /** Drops the bytes of an upload; what was published of them stays. Repeating it changes nothing. */
  dropUpload(id: string): Promise<void>
  /** Uploads whose bytes are here, whatever the records say. */
  listUploads(): Promise<readonly string[]>

  deleteObject(address: ContentAddress, backendId?: string): Promise<{ readonly deleted: boolean }>
  backendHealth(backendId?: string): Promise<BackendStatus>
}
