import assert from 'node:assert/strict'
import { MeshError } from '@claudemesh/protocol'
import type { Pool, Session } from '@claudemesh/storage/postgres'
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
import { findMemberStatus } from '../membership/statements.ts'
import { countRefs, doomUnused, forgetDoomed, holdObject, lockDoomed } from './objects/statements.ts'
import * as rows from './statements.ts'

/** The relayed blobs of the engine for a team. Whoever makes or ends a blob of a mesh waits for the others who do. */
export class PostgresBlobs implements Blobs {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  agree(offered: RelayTerms): Promise<RelayTerms> {
    return this.#pool.write((session) => rows.agree(session, offered))
  }

  reserve(reservation: Reservation): Promise<ReservationOutcome> {
    return this.#pool.write((session) => reserve(session, reservation))
  }

  findUpload(key: BlobKey): Promise<Upload | null> {
    const member = { meshId: key.meshId, memberId: key.sender }
    return this.#pool.read(async (session) => ((await isActive(session, member)) ? rows.findBlob(session, key) : null))
  }

  findDownload(member: MemberKey, address: string): Promise<Blob | null> {
    return this.#pool.read(async (session) =>
      (await isActive(session, member)) ? rows.findReadable(session, member, address) : null,
    )
  }

  recordSpooled(key: BlobKey, change: { from: SpooledPart | null; to: SpooledPart | null }): Promise<boolean> {
    return this.#pool.write(async (session) => (await rows.recordSpooled(session, key, change)) > 0)
  }

  isSpooled(id: string): Promise<boolean> {
    return this.#pool.read((session) => rows.isSpooled(session, id))
  }

  beginPublish(key: BlobKey, { leaseUntil }: { leaseUntil: number }): Promise<PublishOutcome> {
    return this.#pool.write(async (session) => {
      if (!isLive(await rows.findBlob(session, key))) return 'gone'
      return (await holdObject(session, key.address, leaseUntil)) === 0 ? 'busy' : 'done'
    })
  }

  finishPublish(key: BlobKey): Promise<PublishOutcome> {
    return this.#pool.write(async (session) => {
      await rows.lockBlobs(session, key.meshId)
      const found = await rows.findBlob(session, key)
      if (!isLive(found)) return 'gone'
      if (found.state === 'stored') return 'done'
      if ((await countRefs(session, key.address, 1)) === 0) return 'busy'
      assert.equal(await rows.storeBlob(session, key), 1, 'a blob that is open is there')
      return 'done'
    })
  }

  async acknowledge(member: MemberKey, has: { address: string; now: number }): Promise<boolean> {
    const named = await this.#pool.write(async (session) => {
      await rows.lockBlobs(session, member.meshId)
      const count = await rows.acknowledgeBlob(session, member, has)
      for (const done of await rows.listDone(session, member.meshId, has.address)) await end(session, done, 'removed')
      return count
    })
    return named > 0
  }

  async expire(options: Parameters<Blobs['expire']>[0]): Promise<number> {
    const { now, idleBefore, forgetBefore, rowsMax } = options
    const ended = await this.#pool.write(async (session) => {
      const ending = await rows.listEnding(session, now, rowsMax)
      const idle = await rows.listIdle(session, idleBefore, rowsMax)
      return (await endAll(session, ending, 'expired')) + (await endAll(session, idle, 'removed'))
    })
    return ended + (await this.#pool.write((session) => rows.forgetBlobs(session, forgetBefore, rowsMax)))
  }

  endMissing(address: string): Promise<number> {
    return this.#pool.write(async (session) => endAll(session, await rows.listStored(session, address), 'removed'))
  }

  doomObjects({ now, rowsMax }: { now: number; rowsMax: number }): Promise<readonly string[]> {
    return this.#pool.write((session) => doomUnused(session, now, rowsMax))
  }

  /** The row stays locked meanwhile: of two brokers that take themselves for the leader one deletes. */
  deleteObject(address: string, remove: () => Promise<unknown>): Promise<void> {
    return this.#pool.write(async (session) => {
      if (!(await lockDoomed(session, address))) return
      await remove()
      await forgetDoomed(session, address)
    })
  }

  usage() {
    return this.#pool.read(rows.sumBlobs)
  }
}

async function isActive(session: Session, member: MemberKey): Promise<boolean> {
  return (await findMemberStatus(session, member)) === 'active'
}

async function reserve(session: Session, reservation: Reservation): Promise<ReservationOutcome> {
  const { meshId, sender, address, sizeBytes } = reservation
  const used = await rows.lockBlobs(session, meshId)
  const status = await findMemberStatus(session, { meshId, memberId: sender })
  if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
  const found = await rows.findBlob(session, reservation)
  const open = await rows.countOpen(session, reservation)
  const verdict = judgeReservation(reservation, { found, used, open })
  if (typeof verdict !== 'string') return verdict
  const recipients = await rows.listActive(session, meshId, reservation.recipients)
  if (recipients.length === 0) return { kind: 'recipient_unknown' }
  if (verdict === 'new') {
    if (isLive(found)) await end(session, { ...found, meshId, address, sender }, 'removed')
    else await rows.removeBlob(session, reservation)
    await rows.insertBlob(session, reservation)
    await rows.countBlobs(session, meshId, { blobs: 1, bytes: sizeBytes })
  } else await rows.touchBlob(session, reservation)
  await rows.nameRecipients(session, reservation, recipients)
  const kept = await rows.findBlob(session, reservation)
  assert(isLive(kept), 'a blob that was reserved is there')
  return { kind: kept.state, expiresAt: kept.expiresAt }
}

/** Ends those that have not ended since they were listed, mesh by mesh. @returns how many */
async function endAll(
  session: Session,
  blobs: readonly rows.EndingBlob[],
  how: 'expired' | 'removed',
): Promise<number> {
  let ended = 0
  for (const meshId of [...new Set(blobs.map((blob) => blob.meshId))].sort()) {
    await rows.lockBlobs(session, meshId)
    for (const listed of blobs.filter((blob) => blob.meshId === meshId)) {
      const found = await rows.findBlob(session, listed)
      if (!isLive(found) || found.state !== listed.state || found.expiresAt !== listed.expiresAt) continue
      await end(session, listed, how)
      ended += 1
    }
  }
  return ended
}

/**
 * A blob that counts for its mesh is no more; the blobs of the mesh are locked. `expired`: a word of it stays for a while,
 * so that people can be told.
 */
async function end(session: Session, blob: rows.EndingBlob, how: 'expired' | 'removed'): Promise<void> {
  const changes = how === 'expired' ? await rows.expireBlob(session, blob) : await rows.removeBlob(session, blob)
  assert.equal(changes, 1, 'a blob ends once')
  await rows.countBlobs(session, blob.meshId, { blobs: -1, bytes: -blob.sizeBytes })
  if (blob.state !== 'stored') return
  assert.equal(await countRefs(session, blob.address, -1), 1, 'a stored blob has its object')
}
