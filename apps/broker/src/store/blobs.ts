/**
 * Sealed blobs that the broker relays (04 §8): a part of what a store promises. The bytes are kept elsewhere; here is who
 * may have them, until when, and whether they are there.
 *
 * 1. A blob is one upload of one sender. Two senders of equal bytes have two, over one object: none of them, and nobody
 *    whom it names, gets at bytes that it did not bring or was not named for.
 * 2. The bytes of a mesh's blobs, from the reservation on, are counted in the transaction that makes or ends a blob.
 * 3. An object is deleted only after no blob named it and nobody was publishing it, and is published anew only after the
 *    deletion is over: a blob that is `stored` has its bytes.
 */
import type { MemberKey } from './rows.ts'

export interface BlobKey {
  readonly meshId: string
  /** Of the sealed bytes: `blake3:…`. */
  readonly address: string
  /** The member that uploads them. */
  readonly sender: string
}

/** `open`: its bytes are on their way; `stored`: they are there; `expired`: its time is over, and they are gone or going. */
type BlobState = 'open' | 'stored' | 'expired'

export interface Blob {
  readonly state: BlobState
  readonly sizeBytes: number
  readonly expiresAt: number
}

/** Whether there is a blob whose time is not over. */
export function isLive<B extends Blob>(blob: B | null): blob is B & { readonly state: 'open' | 'stored' } {
  return blob !== null && blob.state !== 'expired'
}

/** What has arrived of a blob that is open. */
export interface SpooledPart {
  /** A ULID: the file that it waits in. */
  readonly id: string
  /** How many bytes are durable there. */
  readonly offset: number
}

export interface Upload extends Blob {
  /** Null: nothing has. */
  readonly spooled: SpooledPart | null
}

export interface Reservation extends BlobKey {
  readonly sizeBytes: number
  readonly recipients: readonly string[]
  readonly expiresAt: number
  /** Bytes that the blobs of the mesh may have together, and how many there may be. */
  readonly quotaBytes: number
  readonly blobsMax: number
  /** Blobs of the sender that may be `open` at once. */
  readonly openMax: number
  readonly now: number
}

export type ReservationOutcome =
  | { readonly kind: 'open' | 'stored'; readonly expiresAt: number }
  | { readonly kind: 'size_differs'; readonly sizeBytes: number }
  | { readonly kind: 'quota_exceeded'; readonly usedBytes: number }
  | { readonly kind: 'too_many_open' }
  /** None of the named recipients is a member. */
  | { readonly kind: 'recipient_unknown' }

/** `gone`: the blob has ended meanwhile. `busy`: equal bytes are being deleted; a moment later there is nothing of them. */
export type PublishOutcome = 'done' | 'gone' | 'busy'

/** What the brokers over one database must have in common. */
export interface RelayTerms {
  /** 32 bytes: what tickets are signed with. */
  readonly ticketKey: Buffer
  /** What names the place of the bytes. */
  readonly place: string
}

export interface Blobs {
  /** Offers terms. @returns those in force: what was offered first */
  agree(offered: RelayTerms): Promise<RelayTerms>

  /**
   * Makes a blob, or adds recipients to it and puts its end off: never nearer, and none is taken away. Named members that
   * are gone are passed over.
   *
   * @throws MeshError `member_revoked` or `unauthenticated` when the sender is gone
   */
  reserve(reservation: Reservation): Promise<ReservationOutcome>

  /** Null also when the sender is a member no more. */
  findUpload(key: BlobKey): Promise<Upload | null>

  /** A blob that the member sent, or that names it. Null: there is none, or the member is gone. */
  findDownload(member: MemberKey, address: string): Promise<Blob | null>

  /**
   * Records what has arrived of a blob that is open.
   *
   * @param change.from what was recorded before
   * @returns false when something else is, or the blob is not open: somebody else was there
   */
  recordSpooled(
    key: BlobKey,
    change: { readonly from: SpooledPart | null; readonly to: SpooledPart | null },
  ): Promise<boolean>

  /** Whether some blob waits in this file. */
  isSpooled(id: string): Promise<boolean>

  /** From here until `leaseUntil` the object of the address is not deleted. */
  beginPublish(key: BlobKey, publish: { readonly leaseUntil: number }): Promise<PublishOutcome>

  /** The object is there: the blob is `stored`. */
  finishPublish(key: BlobKey): Promise<PublishOutcome>

  /**
   * A recipient has all of it. A blob that every recipient has ends.
   *
   * @returns false when no blob that is kept names the member
   */
  acknowledge(member: MemberKey, has: { readonly address: string; readonly now: number }): Promise<boolean>

  /**
   * Ends blobs whose time is over, and uploads that were last asked for before `idleBefore`; forgets those that expired
   * before `forgetBefore`.
   *
   * @returns how many rows went or changed
   */
  expire(options: {
    readonly now: number
    readonly idleBefore: number
    readonly forgetBefore: number
    readonly rowsMax: number
  }): Promise<number>

  /** Ends every blob of an address whose object is not there, so that it can be uploaded again. @returns how many */
  endMissing(address: string): Promise<number>

  /** Objects that nothing names: from now on nobody publishes them until they are forgotten. */
  doomObjects(options: { readonly now: number; readonly rowsMax: number }): Promise<readonly string[]>

  /** Deletes a doomed object, unless another broker has done so; `remove` may run twice. */
  deleteObject(address: string, remove: () => Promise<unknown>): Promise<void>

  /** Of all meshes, for metrics. */
  usage(): Promise<{ readonly blobs: number; readonly bytes: number }>
}
