/** Part of the composition root: who looks after the disk, the files on it and what has grown old. */
import { type DaemonPaths, MeshError } from '@claudemesh/protocol'
import type { RetentionClock } from '@claudemesh/storage'
import type { DaemonConfig } from '../config/config.ts'
import type { Events } from '../events/events.ts'
import type { BrokerTerms } from '../lifecycle/broker-terms.ts'
import { chores } from '../lifecycle/chores.ts'
import type { Closing } from '../lifecycle/closing.ts'
import { DiskWatch } from '../lifecycle/disk-watch.ts'
import { type Departure, departureOf } from '../lifecycle/exit.ts'
import { Housekeeping } from '../lifecycle/housekeeping.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import { pressureEvents } from '../lifecycle/pressure-events.ts'
import { StorageWatch } from '../lifecycle/storage-watch.ts'
import type { Log } from '../log.ts'
import type { HistoryStore } from '../record/history-store.ts'
import type { Artifacts } from './artifacts.ts'

export function composeDiskWatch(o: {
  readonly paths: DaemonPaths
  readonly config: () => DaemonConfig
  readonly room: Artifacts['room']
  readonly events: Events
  readonly log: Log
  readonly closing: Closing
}): DiskWatch {
  const { paths, config, room, events, log, closing } = o
  const disk = new DiskWatch({
    directory: paths.directory,
    budgetBytes: () => config().disk.budgetBytes,
    known: () => ({ directory: paths.artifacts, bytes: room.count() }),
    log,
    onChange: pressureEvents({ events, log }),
  })
  closing.add('disk watch', () => disk.stop())
  return disk
}

/** A handle that cannot be trusted ends this process; the supervisor's next one opens the files anew. */
export function composeStorageWatch(o: {
  readonly stores: Stores
  readonly history: HistoryStore
  readonly leave: (departure: Departure) => void
  readonly closing: Closing
}): StorageWatch {
  const { outbox, inbox, events, members } = o.stores
  const storage = new StorageWatch({
    stores: { outbox, inbox, events, members, history: o.history },
    onBroken: (store) => {
      const detail = `the disk failed under ${store}.db; what was acknowledged is on it`
      o.leave(departureOf(new MeshError('storage_failed', { detail })))
    },
  })
  o.closing.add('storage watch', () => storage.stop())
  return storage
}

export function composeHousekeeping(o: {
  readonly stores: Stores
  readonly terms: BrokerTerms
  readonly config: () => DaemonConfig
  readonly clock: RetentionClock
  readonly log: Log
  readonly closing: Closing
}): Housekeeping {
  const housekeeping = new Housekeeping({ chores: chores(o), log: o.log })
  o.closing.add('housekeeping', () => housekeeping.stop())
  return housekeeping
}
