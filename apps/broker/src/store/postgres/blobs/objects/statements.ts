/** The objects of the bytes of blobs. */
import { prepare, type Session } from '@claudemesh/storage/postgres'

const hold = prepare(`
  INSERT INTO mesh.blob_object AS o (address, lease_until) VALUES ($1, $2)
  ON CONFLICT (address) DO UPDATE SET lease_until = greatest(o.lease_until, $2) WHERE NOT o.doomed`)

/** @returns 0 when it is doomed */
export function holdObject(session: Session, address: string, leaseUntil: number): Promise<number> {
  return session.execute(hold, [address, leaseUntil])
}

const change = prepare(`
  UPDATE mesh.blob_object SET refs = refs + $2, lease_until = 0 WHERE address = $1 AND NOT doomed`)

/** The lease of whoever published it is over. @returns 0 when it is doomed, or not there */
export function countRefs(session: Session, address: string, by: 1 | -1): Promise<number> {
  return session.execute(change, [address, by])
}

// Whoever has changed the row meanwhile is seen: the conditions are looked at again when its lock is free.
const doom = prepare(`
  UPDATE mesh.blob_object SET doomed = true
   WHERE refs = 0 AND lease_until <= $1 AND address = ANY (ARRAY(
     SELECT address FROM mesh.blob_object WHERE refs = 0 AND lease_until <= $1 ORDER BY lease_until LIMIT $2))
  RETURNING address`)

export async function doomUnused(session: Session, now: number, limit: number): Promise<readonly string[]> {
  const rows = await session.query<{ address: string }>(doom, [now, limit])
  return rows.map((row) => row.address)
}

const lock = prepare(`SELECT 1 FROM mesh.blob_object WHERE address = $1 AND doomed FOR UPDATE`)
const forget = prepare(`DELETE FROM mesh.blob_object WHERE address = $1 AND doomed`)

/** @returns false when it was forgotten before */
export async function lockDoomed(session: Session, address: string): Promise<boolean> {
  return (await session.query(lock, [address])).length > 0
}

export async function forgetDoomed(session: Session, address: string): Promise<void> {
  await session.execute(forget, [address])
}
