/**
 * The daemons of one home together: how many there are, and how many may be (03 §5).
 *
 * They are counted by their locks, which belong to processes that live. Who counts holds a lock of the home, so that of two
 * that want the last place one gets it.
 */
import { daemonPaths, homePaths, MeshError } from '@claudemesh/protocol'
import { FileLock, isLocked } from '@claudemesh/storage'
import { meshesOf } from '../home-meshes.ts'

/** Each try waits a quarter of a second, and a count takes a few milliseconds. */
const triesMax = 20

/** The meshes of a home whose daemons run. */
export function runningMeshes(home: string): readonly string[] {
  return meshesOf(home).filter((slug) => isLocked(daemonPaths(home, slug).lock))
}

/**
 * Takes a place among the daemons of a home.
 *
 * @param take what makes the caller one of them
 * @param daemonsMax asked when it is one; null: there may be any number
 * @throws MeshError `fleet_full`, `start_failed`, or what `take` and `daemonsMax` throw
 */
export function joinFleet<Place>(home: string, take: (admit: (daemonsMax: number | null) => void) => Place): Place {
  const gate = enter(homePaths(home).fleetLock)
  try {
    return take((daemonsMax) => {
      const running = runningMeshes(home)
      if (daemonsMax === null || running.length <= daemonsMax) return
      throw new MeshError('fleet_full', {
        detail: `${running.length - 1} daemons of ${home} run, and [fleet] max_daemons is ${daemonsMax}`,
        data: { max_daemons: daemonsMax },
      })
    })
  } finally {
    gate.release()
  }
}

function enter(path: string): FileLock {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const gate = FileLock.acquire(path)
    if (gate !== null) return gate
  }
  throw new MeshError('start_failed', { detail: `${path} is held by a process that does not let go` })
}
