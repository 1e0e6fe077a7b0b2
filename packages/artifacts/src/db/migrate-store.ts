/** The tables of a store made, renewed, or begun anew, without opening it (06 §6). */
import { isAbsolute } from 'node:path'
import { ArtifactError } from '../artifact-error.ts'
import { openDatabase } from './open-database.ts'
import { readVersion, setAside } from './sqlite/set-aside.ts'

export interface MigrateStoreOptions {
  /** `sqlite:/absolute/path`, in a directory of the user alone, or `postgres://…`. */
  readonly databaseUrl: string
  /**
   * Begin anew. A file is set aside under another name, and stays; the schema of a server is dropped with all that is in
   * it. The objects are left to garbage collection, which finds that nothing refers to them.
   */
  readonly fresh?: boolean
  /** Milliseconds since the epoch; the system's clock unless a test owns it. */
  readonly now?: () => number
}

export interface MigratedStore {
  readonly engine: 'sqlite' | 'postgres'
  /** The number of the last migration that was applied before; 0: there was no store. */
  readonly previousVersion: number
  readonly version: number
  /** Where the former database is; null: there was none, or it is gone. */
  readonly setAside: string | null
}

/**
 * Forward only. Of several that migrate at once one does it, and the others find it done.
 *
 * @throws ArtifactError `invalid_request`, `database_unavailable`, `busy`: to begin anew nobody else may have it open;
 *   MeshError as `openRegistry`
 */
export async function migrateStore(o: MigrateStoreOptions): Promise<MigratedStore> {
  const now = o.now ?? Date.now
  const url = o.databaseUrl
  if (/^postgres(?:ql)?:\/\//.test(url)) {
    const { dropStore, readStoreVersion } = await import('./postgres/drop-store.ts')
    const previousVersion = await readStoreVersion(url)
    if (o.fresh === true) await dropStore(url)
    await (await openDatabase({ url, now })).close()
    return { engine: 'postgres', previousVersion, version: await readStoreVersion(url), setAside: null }
  }
  const path = /^sqlite:(.+)$/.exec(url)?.[1] ?? ''
  if (!isAbsolute(path)) throw new ArtifactError('invalid_request', { path: '$.databaseUrl' })
  const previousVersion = readVersion(path)
  const former = o.fresh === true ? setAside(path, now()) : null
  await (await openDatabase({ url, now })).close()
  return { engine: 'sqlite', previousVersion, version: readVersion(path), setAside: former }
}
