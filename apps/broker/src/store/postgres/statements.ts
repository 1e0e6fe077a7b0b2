/** The SQL of the engine itself; what belongs to one operation stands in that operation's folder. */
import { prepare, type Session } from './session.ts'

/** The bounds of a transaction. Sent as they are: they are not worth a name of their own on each connection. */
export const boundaries = {
  begin: 'BEGIN ISOLATION LEVEL READ COMMITTED',
  /** What a crash of the database may take back, though nothing of it can be half there. */
  beginFleeting: 'BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
} as const

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
                                          WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)`

/** The SQL of migrating, which runs before any of the tables is there. */
export const migration = {
  serverVersion: `SELECT current_setting('server_version_num')::int AS version,
                         current_setting('server_encoding') AS encoding`,
  /** The key is ours alone: the first bytes of a digest of "claudemesh". */
  lock: 'SELECT pg_advisory_xact_lock(7160250127449261)',
  isRecorded: `SELECT to_regclass('mesh.schema_migration') IS NOT NULL AS recorded`,
  schemaVersion: 'SELECT coalesce(max(version), 0)::int AS version FROM mesh.schema_migration',
  record: 'INSERT INTO mesh.schema_migration (version, name, applied_at) VALUES ($1, $2, $3)',
  prepare: `
    CREATE SCHEMA IF NOT EXISTS mesh;
    CREATE TABLE IF NOT EXISTS mesh.schema_migration (
      version    INTEGER PRIMARY KEY,
      name       TEXT    NOT NULL,
      applied_at BIGINT  NOT NULL
    )`,
} as const

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
