import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { RateLimits } from '../../rates.ts'
import type { MessageKey } from '../../rows.ts'

const takeUnits = prepare(`
  SELECT place, retry_after_ms AS "retryAfterMs"
    FROM mesh.take_rate($1::text[], $2::text[], $3::text[], $4, $5, $6)`)

/** @returns the places of those that are refused, counted from 1 */
export function takeRates(
  session: Session,
  keys: readonly MessageKey[],
  limits: RateLimits,
): Promise<readonly { readonly place: number; readonly retryAfterMs: number }[]> {
  return session.query(takeUnits, [
    keys.map((key) => key.meshId),
    keys.map((key) => key.sender),
    keys.map((key) => key.clientMessageId),
    limits.windowMs,
    limits.member,
    limits.mesh,
  ])
}

const endedSlot = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint / $1::bigint - 1`
const deleteIds = prepare(`
  DELETE FROM mesh.rate_id WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mesh.rate_id WHERE slot < ${endedSlot} LIMIT $2))`)
const deleteCounts = prepare(`
  DELETE FROM mesh.rate_count WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mesh.rate_count WHERE slot < ${endedSlot} LIMIT $2))`)

/** @returns how many rows went */
export async function forgetRates(
  session: Session,
  ended: { readonly windowMs: number; readonly rowsMax: number },
): Promise<number> {
  const values = [ended.windowMs, ended.rowsMax]
  return (await session.execute(deleteIds, values)) + (await session.execute(deleteCounts, values))
}
