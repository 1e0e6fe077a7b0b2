import { type Blob, isLive, type Reservation, type ReservationOutcome } from './blobs.ts'

/** What a reservation meets in its mesh. */
export interface BlobStanding {
  /** The blob of the same address and sender. */
  readonly found: Blob | null
  /** Of the mesh. */
  readonly used: { readonly blobs: number; readonly bytes: number }
  /** Of the sender. */
  readonly open: number
}

/** Whether room is made for a blob, the same for every engine. `new`: a row is to be written. */
export function judgeReservation(
  reservation: Reservation,
  { found, used, open }: BlobStanding,
): 'new' | 'kept' | Exclude<ReservationOutcome, { kind: 'open' | 'stored' }> {
  if (isLive(found) && found.expiresAt > reservation.now) {
    const { sizeBytes } = found
    return sizeBytes === reservation.sizeBytes ? 'kept' : { kind: 'size_differs', sizeBytes }
  }
  if (open >= reservation.openMax) return { kind: 'too_many_open' }
  // What its own remains of before still hold is given back first.
  const freed = isLive(found) ? { blobs: 1, bytes: found.sizeBytes } : { blobs: 0, bytes: 0 }
  const usedBytes = used.bytes - freed.bytes
  const fits =
    usedBytes + reservation.sizeBytes <= reservation.quotaBytes && used.blobs - freed.blobs < reservation.blobsMax
  return fits ? 'new' : { kind: 'quota_exceeded', usedBytes }
}
