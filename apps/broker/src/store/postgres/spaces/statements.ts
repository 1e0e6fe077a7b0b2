import { prepare, type Session } from '@claudemesh/storage/postgres'
import { freeLease, type SpaceEnd, type SpaceKey, type SpaceLease } from '../../spaces.ts'

interface LeaseRow {
  readonly holder: string | null
  readonly epoch: number
  readonly expiresAt: number
  readonly headSeq: number
  readonly headId: string | null
}

const select = prepare(`
  SELECT holder, epoch, expires_at AS "expiresAt", head_seq AS "headSeq", head_id AS "headId"
    FROM mesh.space_lease WHERE mesh_id = $1 AND space = $2`)

export async function findLease(session: Session, { meshId, space }: SpaceKey): Promise<SpaceLease> {
  const [row] = await session.query<LeaseRow>(select, [meshId, space])
  if (row === undefined) return freeLease
  const { headSeq: seq, headId: eventId, ...lease } = row
  return { ...lease, head: { seq, eventId } }
}

const put = prepare(`
  INSERT INTO mesh.space_lease (mesh_id, space, holder, epoch, expires_at, head_seq, head_id)
  VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (mesh_id, space) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch,
    expires_at = excluded.expires_at, head_seq = excluded.head_seq, head_id = excluded.head_id`)

export async function putLease(session: Session, { meshId, space }: SpaceKey, lease: SpaceLease): Promise<void> {
  const { holder, epoch, expiresAt, head } = lease
  await session.execute(put, [meshId, space, holder, epoch, expiresAt, head.seq, head.eventId])
}

const move = prepare(`
  UPDATE mesh.space_lease SET head_seq = $1, head_id = $2 WHERE mesh_id = $3 AND space = $4 AND head_seq = $5`)

/** @returns how many rows were changed */
export function moveHead(session: Session, { meshId, space }: SpaceKey, o: { from: number; to: SpaceEnd }) {
  return session.execute(move, [o.to.seq, o.to.eventId, meshId, space, o.from])
}
