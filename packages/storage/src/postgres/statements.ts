/** The SQL that every store on PostgreSQL needs: the bounds of a transaction, and the record of migrations. */
/** Where the tables of one store are. */
export interface PostgresSchema {
  /** A plain lower-case name, for SQL. */
  readonly name: string
  /** The key of the advisory lock of its migrations; no other store's. */
  readonly lockKey: number
}

/** The bounds of a transaction. Sent as they are: they are not worth a name of their own on each connection. */
export const boundaries = {
  begin: 'BEGIN ISOLATION LEVEL READ COMMITTED',
  /** What a crash of the database may take back, though nothing of it can be half there. */
  beginFleeting: 'BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
} as const

/** The values of `synchronous_commit` with which a commit is on the disk of the server before it is answered. */
export const durableCommits: readonly string[] = ['local', 'remote_write', 'on', 'remote_apply']

/** The SQL of migrating a schema, which runs before any of its tables is there. */
export function migrationOf({ name, lockKey }: PostgresSchema) {
  return {
    serverVersion: `SELECT current_setting('server_version_num')::int AS version,
                           current_setting('server_encoding') AS encoding`,
    lock: `SELECT pg_advisory_xact_lock(${lockKey})`,
    isRecorded: `SELECT to_regclass('${name}.schema_migration') IS NOT NULL AS recorded`,
    schemaVersion: `SELECT coalesce(max(version), 0)::int AS version FROM ${name}.schema_migration`,
    record: `INSERT INTO ${name}.schema_migration (version, name, applied_at) VALUES ($1, $2, $3)`,
    prepare: `
      CREATE SCHEMA IF NOT EXISTS ${name};
      CREATE TABLE IF NOT EXISTS ${name}.schema_migration (
        version    INTEGER PRIMARY KEY,
        name       TEXT    NOT NULL,
        applied_at BIGINT  NOT NULL
      )`,
  } as const
}
