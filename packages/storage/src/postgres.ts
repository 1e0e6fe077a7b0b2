/** PostgreSQL, for whoever keeps a store on it: imported on its own, so that nobody else loads its client. */
export { isRetryable, toDatabaseError } from './postgres/failure.ts'
export { migratePostgres, readSchemaVersion } from './postgres/migrate.ts'
export { Pool, type PoolOptions } from './postgres/pool.ts'
export { prepare, type Session, type Statement, sessionOf, typeParsers } from './postgres/session.ts'
export type { PostgresSchema } from './postgres/statements.ts'
