/**
 * Makes one daemon's directory this process's own (03 §1): private, and held by nobody else.
 *
 * 1. Nothing is created before the umask is 0077, and nothing is created for a mesh that this home does not have.
 * 2. The lock decides who is the daemon, never a pid: a stale pid file or a recycled pid keeps nobody out.
 */
import { existsSync, rmSync } from 'node:fs'
import { type DaemonPaths, daemonPaths, homePaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import { assertPrivateFile, ensurePrivateDirectory, FileLock, writeFileAtomic } from '@claudemesh/storage'

export interface ClaimedHome {
  readonly paths: DaemonPaths
  /** Gives the directory up to the next daemon. */
  release(): void
}

/** @throws MeshError mesh_not_configured | unsafe_permissions | already_running | database_corrupt */
export function claimHome(o: { home: string; mesh: string }): ClaimedHome {
  process.umask(0o077)
  const meshFile = meshFilePath(o.home, o.mesh)
  if (!existsSync(meshFile)) throw new MeshError('mesh_not_configured', { detail: `There is no ${meshFile}` })
  const paths = daemonPaths(o.home, o.mesh)
  for (const directory of [o.home, homePaths(o.home).meshes, `${o.home}/daemon`, paths.directory]) {
    ensurePrivateDirectory(directory)
  }
  const lock = FileLock.acquire(paths.lock)
  if (lock === null) {
    throw new MeshError('already_running', { detail: `Another daemon runs in ${paths.directory}` })
  }
  try {
    refuseOpenSecrets(paths, meshFile)
    refuseHalfRecovered(paths)
    // With its mesh file a restored member is whole, also when the restore was killed before it could say so.
    rmSync(paths.restoreBegun, { force: true })
    writeFileAtomic(paths.pid, `${process.pid}\n`, { mode: 0o600 })
  } catch (error) {
    lock.release()
    throw error
  }
  const release = () => {
    rmSync(paths.pid, { force: true })
    lock.release()
  }
  return { paths, release }
}

function refuseHalfRecovered(paths: DaemonPaths): void {
  if (!existsSync(paths.recoverBegun)) return
  throw new MeshError('database_corrupt', {
    detail: `a recovery of ${paths.directory} was stopped before its end`,
    hint: 'Let it come to its end: `claudemesh daemon recover --confirm`.',
  })
}

/** A secret that others could read is not one any more: better no daemon than one that hides that. */
function refuseOpenSecrets(paths: DaemonPaths, meshFile: string): void {
  for (const file of [meshFile, paths.keypair, paths.localToken, paths.outboxDatabase, paths.inboxDatabase]) {
    if (existsSync(file)) assertPrivateFile(file)
  }
}
