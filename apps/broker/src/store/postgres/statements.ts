/** The SQL of the engine itself; what belongs to one operation stands in that operation's folder. */
import { type PostgresSchema, prepare, type Session } from '@claudemesh/storage/postgres'

/**
 * What each of our connections is set to. Tables that were small when a statement was planned grow by a million rows
 * before they are analysed again, so no plan may rest on reading one from end to end. Pages are read in the order of an index,
 * as far as they go: not all that is left of it first, to be sorted. What was answered is durable, also
 * where the database's own default says otherwise.
 */
export const connectionSettings = `
  SELECT set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
         set_config('jit', 'off', false),
         set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                                          WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
           AS "synchronousCommit"`

/** Where the tables are. The lock's key is ours alone: the first bytes of a digest of "claudemesh". */
export const schema: PostgresSchema = { name: 'mesh', lockKey: 7160250127449261 }

const selectReadOnly = prepare(`SELECT current_setting('transaction_read_only') = 'on' AS "readOnly"`)

/** Whether the database takes no writes: a standby, or one that was told so. */
export async function isReadOnly(session: Session): Promise<boolean> {
  const [row] = await session.query<{ readOnly: boolean }>(selectReadOnly)
  return row?.readOnly === true
}

const selectCounts = prepare(`
  SELECT (SELECT count(*) FROM mesh.mesh) AS meshes,
         (SELECT count(*) FROM mesh.member WHERE status = 'active') AS members,
         (SELECT count(*) FROM (SELECT 1 FROM mesh.delivery_queue LIMIT 100001) waiting) AS deliveries`)

export async function count(session: Session) {
  const [row] = await session.query<{ meshes: number; members: number; deliveries: number }>(selectCounts)
  return row ?? { meshes: 0, members: 0, deliveries: 0 }
}

const selectLastAccepted = prepare(`
  SELECT greatest((SELECT accepted_at FROM mesh.topic_message ORDER BY id DESC LIMIT 1),
                  (SELECT accepted_at FROM mesh.message_queue ORDER BY id DESC LIMIT 1)) AS at`)

export async function lastAcceptedAt(session: Session): Promise<number | null> {
  const [row] = await session.query<{ at: number | null }>(selectLastAccepted)
  return row?.at ?? null
}

const lockCounters = prepare(`
  SELECT mesh_id FROM mesh.mesh_counter WHERE mesh_id = ANY ($1::text[]) ORDER BY mesh_id FOR UPDATE`)

/**
 * Takes the locks of meshes, in their order, until the end of the transaction. Whoever gives numbers of a mesh, or changes
 * its members or subscriptions, takes its lock before it looks at anything: what it then sees stays so until its commit,
 * and numbers become visible in their order.
 *
 * @returns how many of the meshes are registered
 */
export function lockMeshes(session: Session, meshIds: readonly string[]): Promise<number> {
  return session.execute(lockCounters, [[...new Set(meshIds)]])
}
