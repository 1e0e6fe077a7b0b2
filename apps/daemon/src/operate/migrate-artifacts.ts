import { existsSync } from 'node:fs'
import type { MigratedStore } from '@claudemesh/artifacts'
import { daemonPaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import { ensurePrivateDirectory } from '@claudemesh/storage'
import { assertDatabaseIsThere, registryConfigOf } from '../artifacts/registry-config.ts'
import { loadConfig } from '../config/config.ts'
import { systemRuntime } from '../runtime.ts'
import { lockStopped } from './lock-stopped.ts'

/** The mesh whose artifacts are meant. */
interface Place {
  readonly home: string
  /** Of the mesh. */
  readonly slug: string
}

/** Which engine keeps the log of a mesh's artifacts. @throws MeshError `config_invalid` */
export function artifactsEngine(place: Place): MigratedStore['engine'] {
  return readDatabaseUrl(place)?.startsWith('postgres') === true ? 'postgres' : 'sqlite'
}

/**
 * Brings the database of a mesh's artifacts to the newest schema, or begins it anew (06 §6), where the settings say that
 * it is. The daemon does the first by itself when it opens the store; it must not run meanwhile.
 *
 * @throws MeshError `mesh_not_configured`, `already_running`, `config_invalid`, `database_corrupt`: it is gone, and its objects
 *   are there; as `migrateStore`
 */
export async function migrateArtifacts(o: Place & { readonly fresh: boolean }): Promise<MigratedStore> {
  const meshFile = meshFilePath(o.home, o.slug)
  if (!existsSync(meshFile)) throw new MeshError('mesh_not_configured', { detail: `there is no ${meshFile}` })
  const paths = daemonPaths(o.home, o.slug)
  const { artifacts: config } = loadConfig({ home: o.home, mesh: o.slug, flags: {} }).config
  const registryConfig = registryConfigOf({ paths, config, runtime: systemRuntime() })
  ensurePrivateDirectory(paths.directory)
  const lock = lockStopped(paths, { slug: o.slug, held: 'the database of the artifacts' })
  try {
    if (config.databaseUrl === null) ensurePrivateDirectory(paths.artifacts)
    if (!o.fresh) await assertDatabaseIsThere(registryConfig)
    const { migrateStore } = await import('@claudemesh/artifacts')
    return await migrateStore({ databaseUrl: registryConfig.databaseUrl, fresh: o.fresh })
  } finally {
    lock.release()
  }
}

function readDatabaseUrl({ home, slug }: Place): string | null {
  return loadConfig({ home, mesh: slug, flags: {} }).config.artifacts.databaseUrl
}
