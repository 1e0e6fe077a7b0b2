import { existsSync } from 'node:fs'
import type { MigratedStore } from '@claudemesh/artifacts'
import { daemonPaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import { ensurePrivateDirectory, FileLock } from '@claudemesh/storage'
import { loadConfig } from '../config/config.ts'

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
 * @throws MeshError `mesh_not_configured`, `already_running`, `config_invalid`; as `migrateStore`
 */
export async function migrateArtifacts(o: Place & { readonly fresh: boolean }): Promise<MigratedStore> {
  const meshFile = meshFilePath(o.home, o.slug)
  if (!existsSync(meshFile)) throw new MeshError('mesh_not_configured', { detail: `there is no ${meshFile}` })
  const paths = daemonPaths(o.home, o.slug)
  const databaseUrl = readDatabaseUrl(o)
  ensurePrivateDirectory(paths.directory)
  const lock = FileLock.acquire(paths.lock)
  if (lock === null) {
    throw new MeshError('already_running', {
      detail: `the daemon of mesh ${o.slug} runs, and has the database of the artifacts`,
      hint: `Stop it first: \`claudemesh daemon stop --mesh ${o.slug}\`.`,
    })
  }
  try {
    if (databaseUrl === null) ensurePrivateDirectory(paths.artifacts)
    const { migrateStore } = await import('@claudemesh/artifacts')
    return await migrateStore({ databaseUrl: databaseUrl ?? `sqlite:${paths.artifactsDatabase}`, fresh: o.fresh })
  } finally {
    lock.release()
  }
}

function readDatabaseUrl({ home, slug }: Place): string | null {
  return loadConfig({ home, mesh: slug, flags: {} }).config.artifacts.databaseUrl
}
