import { isAbsolute } from 'node:path'
import { ArtifactError } from '../artifact-error.ts'
import type { Database } from './spi.ts'
import { SqliteDatabase } from './sqlite/sqlite-database.ts'

/**
 * Opens the database of a store, bringing it to the newest schema.
 *
 * @param o `url`: `sqlite:/absolute/path` or `postgres://…`
 * @throws ArtifactError `invalid_request`, `database_unavailable`; MeshError `database_corrupt`, `schema_too_new`,
 *   `unsafe_permissions`, `insufficient_storage`, `start_failed`
 */
export async function openDatabase(o: { readonly url: string; readonly now: () => number }): Promise<Database> {
  const { url, now } = o
  if (/^postgres(?:ql)?:\/\//.test(url)) {
    // Loaded when it is needed: a store on SQLite never has the client in memory.
    const { PostgresDatabase } = await import('./postgres/postgres-database.ts')
    return PostgresDatabase.open({ url, now })
  }
  const path = /^sqlite:(.+)$/.exec(url)?.[1] ?? ''
  if (!isAbsolute(path)) {
    throw new ArtifactError('invalid_request', {
      path: '$.databaseUrl',
      detail: 'The database of the artifacts is sqlite:/absolute/path or postgres://…',
    })
  }
  return SqliteDatabase.open({ path, now })
}
