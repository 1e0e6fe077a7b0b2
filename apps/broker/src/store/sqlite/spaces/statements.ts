import type { Database } from '@claudemesh/storage'
import { freeLease, type SpaceEnd, type SpaceKey, type SpaceLease } from '../../spaces.ts'

interface LeaseRow {
  readonly holder: string | null
  readonly epoch: number
  readonly expiresAt: number
  readonly headSeq: number
  readonly headId: string | null
}

export type SpaceStatements = ReturnType<typeof prepareSpaces>

export function prepareSpaces(db: Database) {
  const select = db.prepare<[string, string], LeaseRow>(`
    SELECT holder, epoch, expires_at AS expiresAt, head_seq AS headSeq, head_id AS headId
      FROM space_lease WHERE mesh_id = ? AND space = ?`)
  const put = db.prepare<[string, string, string | null, number, number, number, string | null]>(`
    INSERT INTO space_lease (mesh_id, space, holder, epoch, expires_at, head_seq, head_id) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (mesh_id, space) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch,
      expires_at = excluded.expires_at, head_seq = excluded.head_seq, head_id = excluded.head_id`)
  const moveHead = db.prepare<[number, string | null, string, string, number]>(`
    UPDATE space_lease SET head_seq = ?, head_id = ? WHERE mesh_id = ? AND space = ? AND head_seq = ?`)
  return {
    find({ meshId, space }: SpaceKey): SpaceLease {
      const row = select.get(meshId, space)
      if (row === undefined) return freeLease
      const { headSeq: seq, headId: eventId, ...lease } = row
      return { ...lease, head: { seq, eventId } }
    },
    put: ({ meshId, space }: SpaceKey, { holder, epoch, expiresAt, head }: SpaceLease): void =>
      void put.run(meshId, space, holder, epoch, expiresAt, head.seq, head.eventId),
    moveHead: ({ meshId, space }: SpaceKey, from: number, to: SpaceEnd): number =>
      moveHead.run(to.seq, to.eventId, meshId, space, from).changes,
  }
}
