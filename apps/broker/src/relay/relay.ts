/**
 * The relay for sealed blobs (04 §8): room for them, tickets, their bytes in and out. It never has a key to any.
 *
 * 1. Bytes are taken from whoever reserved room for them, and given to its sender and to whom it names, and to nobody else.
 * 2. Every use of a ticket looks again whether its member is one, and whether the blob is there.
 * 3. A blob of which the bytes have gone, with a disk or by hand, ends when somebody asks for it: it can be sent again.
 */

import { type ByteRange, parseContentAddress, type StoredObject } from '@claudemesh/artifacts/blobs'
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { blobLifeMsMax, blobsMax, openUploadsMax, ticketLifeMs, transferLimits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import { type MeshSettings, settingsOf } from '../settings.ts'
import type { BlobKey, Reservation } from '../store/blobs.ts'
import type { MemberKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import type { BlobPlace } from './place.ts'
import { type Direction, type Grant, Tickets } from './tickets.ts'
import { Transfers } from './transfers.ts'
import { Uploads } from './uploads.ts'

export interface RelayOptions {
  readonly store: Pick<Store, 'blobs' | 'findMesh'>
  readonly place: BlobPlace
  readonly ticketKey: Buffer
  readonly settings: MeshSettings
  /** Of one blob. */
  readonly bytesMax: number
  readonly runtime: Runtime
  readonly log: Log
}

export interface IssuedTicket {
  readonly ticket: string
  readonly ticketExpiresAt: number
  /** Of the blob. */
  readonly expiresAt: number
}

export class Relay {
  readonly uploads: Uploads
  readonly transfers = new Transfers(transferLimits)
  readonly #o: RelayOptions
  readonly #tickets: Tickets

  constructor(o: RelayOptions) {
    this.#o = o
    const { runtime, ticketKey } = o
    this.#tickets = new Tickets({ key: ticketKey, now: () => runtime.now(), lifeMs: ticketLifeMs })
    this.uploads = new Uploads({ blobs: o.store.blobs, spool: o.place.spool, backend: o.place.backend, runtime })
  }

  /**
   * Makes room for a blob of a member, or names more recipients of one.
   *
   * @throws MeshError `blob_too_large`, `blob_expired`, `invalid_request`, `size_mismatch`, `blob_quota_exceeded`,
   *   `too_many_requests`, `recipient_unknown`, `member_revoked` …
   */
  async reserve(
    sender: MemberKey,
    blob: Pick<Reservation, 'address' | 'sizeBytes' | 'recipients' | 'expiresAt'>,
  ): Promise<IssuedTicket & { readonly stored: boolean }> {
    const { runtime, bytesMax } = this.#o
    const now = runtime.now()
    if (blob.sizeBytes > bytesMax) {
      throw new MeshError('blob_too_large', {
        detail: `a blob has ${bytesMax} bytes at most`,
        data: { bytes_max: bytesMax },
      })
    }
    if (blob.expiresAt <= now) throw new MeshError('blob_expired')
    if (blob.expiresAt > now + blobLifeMsMax) {
      const days = blobLifeMsMax / 86_400_000
      throw new MeshError('invalid_request', { detail: `expires_at: a blob is kept for ${days} days at most` })
    }
    const { meshId, memberId } = sender
    const key = { meshId, address: blob.address, sender: memberId }
    const { expiresAt, stored } = await this.#reserve({ ...blob, ...key, now })
    crashPoint('broker.blob.reserved')
    const { ticket, expiresAt: ticketExpiresAt } = this.#tickets.issue({ ...sender, direction: 'upload', ...blob })
    return { ticket, ticketExpiresAt, expiresAt, stored }
  }

  /** @throws MeshError `blob_not_found`, `blob_expired`, `size_mismatch` */
  async grantDownload(
    member: MemberKey,
    blob: { readonly address: string; readonly sizeBytes: number },
  ): Promise<IssuedTicket> {
    const { sizeBytes, expiresAt } = await this.#findDownload(member, blob.address)
    if (sizeBytes !== blob.sizeBytes) throw sizeDiffers(sizeBytes)
    const { ticket, expiresAt: ticketExpiresAt } = this.#tickets.issue({ ...member, direction: 'download', ...blob })
    return { ticket, ticketExpiresAt, expiresAt }
  }

  /** @throws MeshError `blob_not_found` */
  async acknowledge(member: MemberKey, address: string): Promise<void> {
    const { store, runtime } = this.#o
    const isNamed = await store.blobs.acknowledge(member, { address, now: runtime.now() })
    crashPoint('broker.blob.acknowledged')
    if (!isNamed) throw new MeshError('blob_not_found')
  }

  /** What a ticket grants for an address. @throws MeshError `ticket_invalid` */
  read(ticket: string | null, asked: { readonly address: string; readonly directions: readonly Direction[] }): Grant {
    const grant = ticket === null ? null : this.#tickets.read(ticket)
    if (grant === null || grant.address !== asked.address || !asked.directions.includes(grant.direction)) {
      throw new MeshError('ticket_invalid')
    }
    return grant
  }

  /** Whether the bytes can be had. @throws MeshError `blob_not_found`, `blob_expired` */
  async assertReadable(grant: Grant): Promise<void> {
    await this.#findDownload(grant, grant.address)
  }

  /** Bytes of a blob. @throws MeshError `blob_not_found`, `blob_expired`, `range_not_satisfiable`, `storage_io` … */
  async open(grant: Grant, range: ByteRange | undefined): Promise<StoredObject> {
    await this.assertReadable(grant)
    const object = await this.#o.place.backend
      .get(parseContentAddress(grant.address), range)
      .catch((error: unknown) => this.#onUnreadable(grant, error))
    if (object.size === grant.sizeBytes) return object
    await object.body[Symbol.asyncIterator]().return?.()
    return this.#endMissing(grant.address)
  }

  /** Ends what is past its time. @returns how many rows were touched */
  expire(options: Parameters<Store['blobs']['expire']>[0]): Promise<number> {
    return this.#o.store.blobs.expire(options)
  }

  /** Deletes objects that nothing names. @returns how many */
  async removeUnused(options: { readonly now: number; readonly rowsMax: number }): Promise<number> {
    const { store, place } = this.#o
    const doomed = await store.blobs.doomObjects(options)
    for (const address of doomed) {
      crashPoint('broker.blob.doomed')
      await store.blobs.deleteObject(address, async () => {
        await place.backend.delete(parseContentAddress(address))
        crashPoint('broker.blob.object-deleted')
      })
    }
    return doomed.length
  }

  async #reserve(asked: Omit<Reservation, 'quotaBytes' | 'blobsMax' | 'openMax'>) {
    const outcome = await this.#tryReserve(asked)
    if (!outcome.stored || (await this.#isThere(asked))) return outcome
    await this.#o.store.blobs.endMissing(asked.address)
    return this.#tryReserve(asked)
  }

  async #tryReserve(asked: Omit<Reservation, 'quotaBytes' | 'blobsMax' | 'openMax'>) {
    const { store, settings } = this.#o
    const mesh = await store.findMesh(asked.meshId)
    const quotaBytes = mesh === null ? 0 : settingsOf(mesh, settings).blobQuotaBytes
    const outcome = await store.blobs.reserve({ ...asked, quotaBytes, blobsMax, openMax: openUploadsMax })
    switch (outcome.kind) {
      case 'open':
      case 'stored':
        return { expiresAt: outcome.expiresAt, stored: outcome.kind === 'stored' }
      case 'size_differs':
        throw sizeDiffers(outcome.sizeBytes)
      case 'quota_exceeded':
        throw new MeshError('blob_quota_exceeded', {
          detail: `the mesh has ${outcome.usedBytes} of ${quotaBytes} bytes, and this blob has ${asked.sizeBytes}`,
          data: { used_bytes: outcome.usedBytes, quota_bytes: quotaBytes },
        })
      case 'too_many_open':
        throw new MeshError('too_many_requests', {
          detail: `${openUploadsMax} uploads of this member are not complete`,
        })
      case 'recipient_unknown':
        throw new MeshError('recipient_unknown', { detail: 'none of the recipients is a member of the mesh' })
      default:
        return outcome satisfies never
    }
  }

  async #isThere({ address, sizeBytes }: Pick<Reservation, 'address' | 'sizeBytes'>): Promise<boolean> {
    try {
      return (await this.#o.place.backend.head(parseContentAddress(address))).size === sizeBytes
    } catch (error) {
      if (error instanceof MeshError && error.code === 'object_not_found') return false
      throw error
    }
  }

  async #findDownload(member: MemberKey, address: string) {
    const found = await this.#o.store.blobs.findDownload(member, address)
    if (found === null) throw new MeshError('blob_not_found')
    if (found.state === 'expired' || found.expiresAt <= this.#o.runtime.now()) throw new MeshError('blob_expired')
    return found
  }

  #onUnreadable(grant: Grant, error: unknown): Promise<never> {
    if (error instanceof MeshError && error.code === 'object_not_found') return this.#endMissing(grant.address)
    throw error
  }

  async #endMissing(address: string): Promise<never> {
    const ended = await this.#o.store.blobs.endMissing(address)
    // Of several who meet it at once one has ended it; deleted meanwhile, it is not missing.
    if (ended > 0) this.#o.log.error({ address, blobs: ended }, 'blob_missing')
    throw new MeshError('blob_not_found')
  }
}

/** The member that a grant is for, as whoever uploads. */
export function uploadKey({ meshId, memberId, address }: Grant): BlobKey {
  return { meshId, address, sender: memberId }
}

function sizeDiffers(sizeBytes: number): MeshError {
  return new MeshError('size_mismatch', { detail: `the blob of this address has ${sizeBytes} bytes` })
}
