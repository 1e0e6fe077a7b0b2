import { Pool, readSchemaVersion } from '@claudemesh/storage/postgres'
import { ArtifactError } from '../../artifact-error.ts'
import { attemptsMax, toUnavailable } from '../retry.ts'
import { applicationName } from './postgres-database.ts'
import { connectMsMax } from './postgres-listener.ts'
import { connectionSettings, dropping, schema } from './statements.ts'

/** The number of the last migration of a store, 0 when there is none. @throws ArtifactError `database_unavailable` */
export function readStoreVersion(url: string): Promise<number> {
  return withPool(url, (pool) => pool.read((session) => readSchemaVersion(session, schema)))
}

/**
 * Drops the schema with everything in it, for good.
 *
 * @throws ArtifactError `busy`: another process is connected to the store; `database_unavailable`
 */
export function dropStore(url: string): Promise<void> {
  return withPool(url, (pool) =>
    pool.write(async (session) => {
      await session.execute(dropping.lock)
      const [others] = await session.query<{ count: number }>(dropping.countOthers, [applicationName])
      if (others === undefined || others.count > 0) {
        throw new ArtifactError('busy', { detail: 'Another process is connected to the store of artifacts.' })
      }
      await session.execute(dropping.dropShadow)
      await session.execute(dropping.dropSchema)
    }),
  )
}

async function withPool<T>(url: string, run: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = new Pool({
    url,
    applicationName,
    settings: connectionSettings,
    connectionsMax: 1,
    connectMsMax,
    idleMsMax: 1_000,
    statementMsMax: 60_000,
    attemptsMax,
  })
  try {
    return await run(pool)
  } catch (error) {
    throw toUnavailable(error)
  } finally {
    await pool.close()
  }
}
