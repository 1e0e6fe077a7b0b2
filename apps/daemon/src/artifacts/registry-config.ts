import { existsSync } from 'node:fs'
import type { RegistryConfig } from '@claudemesh/artifacts'
import { type DaemonPaths, MeshError } from '@claudemesh/protocol'
import type { ArtifactConfig } from '../config/artifact-settings.ts'
import type { Runtime } from '../runtime.ts'

/** What the settings of a daemon come to for its store of artifacts. */
export function registryConfigOf(o: {
  readonly paths: DaemonPaths
  readonly config: ArtifactConfig
  readonly runtime: Runtime
}): RegistryConfig {
  const { paths, config, runtime } = o
  const { databaseUrl, storageRoot, retention, gcGraceMs, limits, backend, s3 } = config
  return {
    databaseUrl: databaseUrl ?? `sqlite:${paths.artifactsDatabase}`,
    storageRoot: storageRoot ?? paths.artifactsObjects,
    retention,
    gcGraceMs,
    limits,
    backend,
    ...(s3 === null ? {} : { s3 }),
    runtime,
  }
}

/** The file that is the database of a store; null: it is on a server. */
export function databaseFileOf({ databaseUrl }: Pick<RegistryConfig, 'databaseUrl'>): string | null {
  return databaseUrl.startsWith('sqlite:') ? databaseUrl.slice('sqlite:'.length) : null
}

/**
 * Objects without the database that knows of them are not garbage: a new one in its place would have them collected.
 *
 * @throws MeshError `database_corrupt`
 */
export async function assertDatabaseIsThere(config: RegistryConfig): Promise<void> {
  if (!(await isDatabaseMissed(config))) return
  throw new MeshError('database_corrupt', {
    detail: `${databaseFileOf(config)} is gone, and the objects that it knew of are there`,
  })
}

/** Whether there are objects of a store, and its database is gone. */
export async function isDatabaseMissed(config: RegistryConfig): Promise<boolean> {
  const file = databaseFileOf(config)
  if (file === null || existsSync(file)) return false
  const { hasObjects } = await import('@claudemesh/artifacts')
  return hasObjects(config.storageRoot)
}
