/** Part of the composition root: the store of artifacts, how much it may take, and what is done for it. */
import type { DaemonPaths } from '@claudemesh/protocol'
import type { DiskMeasurement, RetentionClock } from '@claudemesh/storage'
import { ArtifactRoom } from '../artifacts/artifact-room.ts'
import { ArtifactStore } from '../artifacts/artifact-store.ts'
import { ArtifactUpkeep } from '../artifacts/artifact-upkeep.ts'
import type { DaemonConfig } from '../config/config.ts'
import type { Closing } from '../lifecycle/closing.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'

export interface Artifacts {
  readonly store: ArtifactStore
  readonly room: ArtifactRoom
  readonly upkeep: ArtifactUpkeep
}

export function composeArtifacts(o: {
  readonly paths: DaemonPaths
  readonly config: () => DaemonConfig
  readonly runtime: Runtime
  readonly log: Log
  readonly closing: Closing
  /** The latest measurement of the disk. */
  readonly disk: () => DiskMeasurement
  readonly clock: RetentionClock
}): Artifacts {
  const { paths, config, runtime, log, closing, disk, clock } = o
  const store = new ArtifactStore({ paths, config: config().artifacts, runtime, log })
  closing.add('artifacts', () => store.close())
  const { storageRoot } = config().artifacts
  const room = new ArtifactRoom({
    directories: storageRoot === null ? [paths.artifacts] : [paths.artifacts, storageRoot],
    isElsewhere: storageRoot !== null,
    disk,
  })
  const scrubRate = () => config().artifacts.scrubBytesPerSecond
  const upkeep = new ArtifactUpkeep({ store, room, scrubRate, clock, runtime, log })
  closing.add('artifacts upkeep', () => upkeep.stop())
  return { store, room, upkeep }
}
