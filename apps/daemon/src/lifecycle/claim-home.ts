/**
 * Makes one daemon's directory this process's own (03 §1): private, and held by nobody else.
 *
 * 1. Nothing is created before the umask is 0077, and nothing is created for a mesh that this home does not have.
 * 2. The lock decides who is the daemon, never a pid: a stale pid file or a recycled pid keeps nobody out.
 */
import { existsSync, rmSync } from 'node:fs'
import { type DaemonPaths, daemonPaths, homePaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import { assertPrivateFile, ensurePrivateDirectory, FileLock, writeFileAtomic } from '@claudemesh/storage'
import { departureOf, recordDeparture } from './exit.ts'
import { joinFleet } from './fleet.ts'

export interface ClaimedHome {
  readonly paths: DaemonPaths
  /** Gives the directory up to the next daemon. */
  release(): void
}

export interface ClaimOptions {
  readonly home: string
  /** The slug of the mesh. */
  readonly mesh: string
  readonly now: () => number
  /** How many daemons of the home may run; asked once the directory is this process's own. */
  readonly daemonsMax: () => number | null
}

/**
 * What keeps the daemon out is left word of, unless another daemon runs there.
 *
 * @throws MeshError mesh_not_configured | unsafe_permissions | already_running | database_corrupt | reset_unfinished | fleet_full
 */
export function claimHome(o: ClaimOptions): ClaimedHome {
  process.umask(0o077)
  const meshFile = meshFilePath(o.home, o.mesh)
  if (!existsSync(meshFile)) throw new MeshError('mesh_not_configured', { detail: `There is no ${meshFile}` })
  const paths = daemonPaths(o.home, o.mesh)
  for (const directory of [o.home, homePaths(o.home).meshes, `${o.home}/daemon`, paths.directory]) {
    ensurePrivateDirectory(directory)
  }
  return joinFleet(o.home, (admit) => {
    const lock = FileLock.acquire(paths.lock)
    if (lock === null) {
      throw new MeshError('already_running', { detail: `Another daemon runs in ${paths.directory}` })
    }
    try {
      refuseOpenSecrets(paths, meshFile)
      refuseHalfDone(paths)
      admit(o.daemonsMax())
      // With its mesh file a restored member is whole, also when the restore was killed before it could say so.
      rmSync(paths.restoreBegun, { force: true })
      writeFileAtomic(paths.pid, `${process.pid}\n`, { mode: 0o600 })
    } catch (error) {
      recordDeparture(paths.lastExit, departureOf(error), o.now())
      lock.release()
      throw error
    }
    const release = () => {
      rmSync(paths.pid, { force: true })
      lock.release()
    }
    return { paths, release }
  })
}

function refuseHalfDone(paths: DaemonPaths): void {
  if (existsSync(paths.resetBegun)) {
    throw new MeshError('reset_unfinished', { detail: `a reset of ${paths.directory} was stopped before its end` })
  }
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
