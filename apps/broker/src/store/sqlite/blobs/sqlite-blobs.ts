import assert from 'node:assert/strict'
import { MeshError } from '@claudemesh/protocol'
import {
  type Blob,
  type BlobKey,
  type Blobs,
  isLive,
  type PublishOutcome,
  type RelayTerms,
  type Reservation,
  type ReservationOutcome,
  type SpooledPart,
  type Upload,
} from '../../blobs.ts'
import { judgeReservation } from '../../judge-reservation.ts'
import type { MemberKey } from '../../rows.ts'
import type { DirectoryStatements } from '../membership/statements.ts'
import type { Writer } from '../writer.ts'
import type { BlobStatements, EndingBlob } from './statements.ts'

interface Statements {
  readonly blobs: BlobStatements
  readonly directory: DirectoryStatements
}

/** The relayed blobs of the embedded engine. */
export class SqliteBlobs implements Blobs {
  readonly #statements: Statements
  readonly #writer: Writer
  readonly #read: <T>(run: () => T) => T

  /** @param read runs what only reads */
  constructor(statements: Statements, writer: Writer, read: <T>(run: () => T) => T) {
    this.#statements = statements
    this.#writer = writer
    this.#read = read
  }

  agree(offered: RelayTerms): Promise<RelayTerms> {
    return this.#writer.write(() => this.#statements.blobs.agree(offered))
  }

  reserve(reservation: Reservation): Promise<ReservationOutcome> {
    return this.#writer.write(() => reserve(this.#statements, reservation))
  }

  async findUpload(key: BlobKey): Promise<Upload | null> {
    const member = { meshId: key.meshId, memberId: key.sender }
    return this.#read(() => (this.#isActive(member) ? this.#statements.blobs.find(key) : null))
  }

  async findDownload(member: MemberKey, address: string): Promise<Blob | null> {
    return this.#read(() => (this.#isActive(member) ? this.#statements.blobs.findReadable(member, address) : null))
  }

  recordSpooled(key: BlobKey, change: { from: SpooledPart | null; to: SpooledPart | null }): Promise<boolean> {
    return this.#writer.write(() => this.#statements.blobs.recordSpooled(key, change) > 0)
  }

  async isSpooled(id: string): Promise<boolean> {
    return this.#read(() => this.#statements.blobs.isSpooled(id))
  }

  beginPublish(key: BlobKey, { leaseUntil }: { leaseUntil: number }): Promise<PublishOutcome> {
    const { blobs } = this.#statements
    return this.#writer.write(() => {
      if (!isLive(blobs.find(key))) return 'gone'
      return blobs.holdObject(key.address, leaseUntil) === 0 ? 'busy' : 'done'
    })
  }

  finishPublish(key: BlobKey): Promise<PublishOutcome> {
    const { blobs } = this.#statements
    return this.#writer.write(() => {
      const found = blobs.find(key)
      if (!isLive(found)) return 'gone'
      if (found.state === 'stored') return 'done'
      if (blobs.countRefs(key.address, 1) === 0) return 'busy'
      assert.equal(blobs.markStored(key), 1, 'a blob that is open is there')
      return 'done'
    })
  }

  async acknowledge(member: MemberKey, has: { address: string; now: number }): Promise<boolean> {
    const { blobs } = this.#statements
    const named = await this.#writer.write(() => {
      const count = blobs.acknowledge(member, has)
      for (const done of blobs.listDone(member.meshId, has.address)) end(blobs, done, 'removed')
      return count
    })
    return named > 0
  }

  expire(options: Parameters<Blobs['expire']>[0]): Promise<number> {
    const { blobs } = this.#statements
    const { now, idleBefore, forgetBefore, rowsMax } = options
    return this.#writer.write(() => {
      const ending = blobs.listEnding(now, rowsMax)
      for (const blob of ending) end(blobs, blob, 'expired')
      const idle = blobs.listIdle(idleBefore, rowsMax)
      for (const blob of idle) end(blobs, blob, 'removed')
      return ending.length + idle.length + blobs.forget(forgetBefore, rowsMax)
    })
  }

  endMissing(address: string): Promise<number> {
    const { blobs } = this.#statements
    return this.#writer.write(() => {
      const stored = blobs.listStored(address)
      for (const blob of stored) end(blobs, blob, 'removed')
      return stored.length
    })
  }

  doomObjects({ now, rowsMax }: { now: number; rowsMax: number }): Promise<readonly string[]> {
    return this.#writer.write(() => this.#statements.blobs.doom(now, rowsMax))
  }

  async deleteObject(address: string, remove: () => Promise<unknown>): Promise<void> {
    await remove()
    await this.#writer.write(() => this.#statements.blobs.forgetObject(address))
  }

  async usage() {
    return this.#read(() => this.#statements.blobs.usage())
  }

  #isActive(member: MemberKey): boolean {
    return this.#statements.directory.memberStatus(member) === 'active'
  }
}

function reserve({ blobs, directory }: Statements, reservation: Reservation): ReservationOutcome {
  const { meshId, sender, address, sizeBytes, now } = reservation
  const status = directory.memberStatus({ meshId, memberId: sender })
  if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
  const found = blobs.find(reservation)
  const standing = { found, used: blobs.used(meshId), open: blobs.countOpen(meshId, sender) }
  const verdict = judgeReservation(reservation, standing)
  if (typeof verdict !== 'string') return verdict
  const recipients = reservation.recipients.filter(
    (memberId) => directory.memberStatus({ meshId, memberId }) === 'active',
  )
  if (recipients.length === 0) return { kind: 'recipient_unknown' }
  if (verdict === 'new') {
    if (found !== null && isLive(found)) end(blobs, { ...found, meshId, address, sender }, 'removed')
    else if (found !== null) blobs.remove(reservation)
    blobs.insert(reservation)
    blobs.count(meshId, { blobs: 1, bytes: sizeBytes })
  } else blobs.touch(reservation, { now, expiresAt: reservation.expiresAt })
  for (const recipient of recipients) blobs.name(reservation, recipient)
  const kept = blobs.find(reservation)
  assert(isLive(kept), 'a blob that was reserved is there')
  return { kind: kept.state, expiresAt: kept.expiresAt }
}

/** A blob that counts for its mesh is no more. `expired`: a word of it stays for a while, so that people can be told. */
function end(blobs: BlobStatements, blob: EndingBlob, how: 'expired' | 'removed'): void {
  const changes = how === 'expired' ? blobs.markExpired(blob) : blobs.remove(blob)
  assert.equal(changes, 1, 'a blob ends once')
  blobs.count(blob.meshId, { blobs: -1, bytes: -blob.sizeBytes })
  if (blob.state === 'stored') assert.equal(blobs.countRefs(blob.address, -1), 1, 'a stored blob has its object')
}
