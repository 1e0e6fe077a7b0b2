/** The SQL of the engine itself. */
import { type PostgresSchema, prepare } from '@claudemesh/storage/postgres'

/** Where the tables are. The lock's key is ours alone: the first bytes of a digest of "claudemesh artifacts". */
export const schema: PostgresSchema = { name: 'artifacts', lockKey: 5108206417399302 }

/** Of the one process that rebuilds the views. */
const rebuildKey = schema.lockKey + 1

/** What the log is announced on; the payload is its last sequence. */
export const channel = 'claudemesh_artifact_events'

/**
 * What each connection is set to. Names are looked up in our schema, nowhere else; what was answered is durable, also
 * where the database's own default says otherwise. Rows are read by index in the order in which they are wanted.
 */
export const connectionSettings = `
  SELECT set_config('search_path', '${schema.name}', false),
         set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false),
         set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                                          WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
           AS "synchronousCommit"`

export const boundaries = {
  begin: prepare('BEGIN ISOLATION LEVEL READ COMMITTED'),
  beginSnapshot: prepare('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'),
  commit: prepare('COMMIT'),
  rollback: prepare('ROLLBACK'),
  savepoint: prepare('SAVEPOINT part'),
  release: prepare('RELEASE SAVEPOINT part'),
  undo: prepare('ROLLBACK TO SAVEPOINT part'),
} as const

/** In the order of the array: everybody sorts it, so that two who need the same locks do not wait for each other. */
export const lockAddresses = prepare('SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key')

export const lockPackages = prepare(`
  SELECT package_id FROM artifact_packages WHERE package_id = ANY ($1::text[]) ORDER BY package_id FOR UPDATE`)

export const lockHead = prepare('SELECT last_sequence FROM event_log_head WHERE id = 1 FOR UPDATE')

export const announce = 'SELECT pg_notify($1, $2)'
export const listen = `LISTEN ${channel}`

const shadow = `${schema.name}_replay`

/** Dropping a store for good. */
export const dropping = {
  /** Of migrations: nobody makes tables meanwhile. */
  lock: prepare(`SELECT pg_advisory_xact_lock(${schema.lockKey})`),
  countOthers: prepare(`
    SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()`),
  dropShadow: prepare(`DROP SCHEMA IF EXISTS ${schema.name}_replay CASCADE`),
  dropSchema: prepare(`DROP SCHEMA IF EXISTS ${schema.name} CASCADE`),
} as const

/** Rebuilding the views beside the ones that are read. */
export const rebuilding = {
  tryLock: prepare(`SELECT pg_try_advisory_lock(${rebuildKey}) AS locked`),
  unlock: prepare(`SELECT pg_advisory_unlock(${rebuildKey})`),
  dropShadow: prepare(`DROP SCHEMA IF EXISTS ${shadow} CASCADE`),
  makeShadow: prepare(`CREATE SCHEMA ${shadow}`),
  /** What is written goes into the shadow, and what is not there is read from the store. Until the transaction ends. */
  useShadow: prepare(`SELECT set_config('search_path', '${shadow}, ${schema.name}', true)`),
  /** Nobody relies on the shadow before it takes its place. */
  relax: prepare(`SELECT set_config('synchronous_commit', 'off', true)`),
} as const

export function makeShadowTable(table: string): string {
  return `CREATE TABLE ${shadow}.${table} (LIKE ${schema.name}.${table} INCLUDING ALL)`
}

/** What the tables refer to, as it has to be said again in the shadow. */
export const selectReferences = prepare(`
  SELECT from_table.relname AS "table", constraints.conname AS name, pg_get_constraintdef(constraints.oid) AS definition
    FROM pg_constraint AS constraints JOIN pg_class AS from_table ON from_table.oid = constraints.conrelid
   WHERE constraints.contype = 'f' AND constraints.connamespace = '${schema.name}'::regnamespace
   ORDER BY 1, 2`)

export function addReference(o: {
  readonly table: string
  readonly name: string
  readonly definition: string
}): string {
  return `ALTER TABLE ${shadow}.${o.table} ADD CONSTRAINT ${o.name} ${o.definition}`
}

export function dropTable(table: string): string {
  return `DROP TABLE ${schema.name}.${table} CASCADE`
}

export function moveShadowTable(table: string): string {
  return `ALTER TABLE ${shadow}.${table} SET SCHEMA ${schema.name}`
}
