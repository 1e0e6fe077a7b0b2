/**
 * Deletes a home whose daemons are stopped (03 §5).
 *
 * 1. What is not ours stays: the directory itself goes only when nothing else is in it.
 * 2. The meshes go last, so that the same command again still finds what an interrupted one has left.
 */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { type DaemonPlace, inspectDaemon } from '../daemon-process.ts'
import { listMeshes } from '../mesh-selection.ts'
import { daemonPaths, homePaths, MeshError, meshFilePath } from '../protocol.ts'

export interface PurgeWish {
  readonly discardOutbox: boolean
  readonly discardRootKey: boolean
}

/** @throws MeshError `outbox_not_empty`, `root_key_at_stake` when a mesh of the home must not be deleted */
export async function assertPurgeable(home: string, wish: PurgeWish): Promise<void> {
  const { readMeshFile } = await import('@claudemesh/identity')
  for (const mesh of listMeshes(home)) {
    if (readMeshFile(meshFilePath(home, mesh)).rootSeed !== null && !wish.discardRootKey) {
      throw new MeshError('root_key_at_stake', { detail: `this home has the root key of the mesh ${mesh}` })
    }
    const waiting = wish.discardOutbox ? 0 : await countWaiting({ home, mesh })
    if (waiting > 0) {
      throw new MeshError('outbox_not_empty', { detail: `${waiting} messages of the mesh ${mesh} wait to be sent` })
    }
  }
}

async function countWaiting(place: DaemonPlace): Promise<number> {
  const { health } = await inspectDaemon(place)
  if (health !== null) return health.outbox.pending + health.outbox.inflight
  if (!existsSync(daemonPaths(place.home, place.mesh).directory)) return 0
  const { resetMember, systemRuntime } = await import('@claudemesh/daemon')
  const nothing = { confirm: false, discardOutbox: false, forgetMember: false, discardRootKey: false }
  return resetMember({ home: place.home, slug: place.mesh, ...nothing, runtime: systemRuntime() }).waiting ?? 0
}

/** What of a home is this software's. */
export function ownPaths(home: string): readonly string[] {
  const { broker, config, meshes } = homePaths(home)
  return [`${home}/daemon`, broker, config, meshes].filter(existsSync)
}

/** @returns what is in the home and is not ours */
export function purge(home: string): readonly string[] {
  for (const path of ownPaths(home)) rmSync(path, { recursive: true, force: true })
  const left = existsSync(home) ? readdirSync(home) : []
  if (left.length === 0 && existsSync(home)) rmdirSync(home)
  return left
}
