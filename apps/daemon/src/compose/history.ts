/** Part of the composition root: the record of everything sent and received. */
import type { Partition } from '@claudemesh/history'
import { type DaemonPaths, MeshError } from '@claudemesh/protocol'
import { listExported } from '@claudemesh/sinks/state'
import type { RetentionClock } from '@claudemesh/storage'
import type { DaemonConfig } from '../config/config.ts'
import type { Health } from '../health.ts'
import type { Closing } from '../lifecycle/closing.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import type { Log } from '../log.ts'
import { HistoryStore } from '../record/history-store.ts'
import { HistoryUpkeep } from '../record/history-upkeep.ts'
import { Recorder } from '../record/recorder.ts'
import type { Runtime } from '../runtime.ts'

export interface RecordedHistory {
  readonly store: HistoryStore
  /** Null when there is no history. */
  readonly recorder: Recorder | null
  readonly upkeep: HistoryUpkeep | null
}

export interface HistoryParts {
  readonly paths: DaemonPaths
  readonly config: () => DaemonConfig
  readonly stores: Stores
  readonly raised: Health
  readonly runtime: Runtime
  readonly log: Log
  readonly closing: Closing
  readonly clock: RetentionClock
}

export function composeHistory(parts: HistoryParts): RecordedHistory {
  const { paths, config, stores, raised, runtime, log, closing } = parts
  const store = HistoryStore.open({
    directory: paths.history,
    now: runtime.now,
    retentionOf: (dataset) => (dataset === 'events' ? config().history.events : config().history.messages),
    losing: (partition) => tellOfLoss(partition, parts),
    exported: listExported(paths.sinks),
  })
  closing.add('history', () => store.close())
  const announcements = stores.announcements.add()
  const { history, fault } = store
  if (history === null) {
    raised.raise('history_down', fault?.message)
    log.error({ err: fault }, 'history_down')
    return { store, recorder: null, upkeep: null }
  }
  const { slug: mesh, meshFile } = stores.identity
  const owner = { mesh, memberId: meshFile.memberId }
  const recorder = new Recorder({ ...stores, history, owner, announcements, runtime, log })
  closing.add('recorder', () => recorder.stop())
  const upkeep = new HistoryUpkeep({ history, now: () => parts.clock.now(), raised, runtime, log })
  closing.add('history upkeep', () => upkeep.stop())
  stores.events.subscribe(() => recorder.wake())
  return { store, recorder, upkeep }
}

/** Before the rows go. */
function tellOfLoss({ dataset, source }: Partition, { stores, raised, log }: HistoryParts): void {
  const data = { partition: `${dataset}/${source}` }
  raised.raise('history_cap_passed', data.partition)
  log.warn(data, 'history_cap_passed')
  try {
    stores.events.append([{ type: 'history_cap_passed', data }])
  } catch (error) {
    // The disk may be what is full: health and the log say the same.
    if (!(error instanceof MeshError)) throw error
    log.error({ err: error }, 'event_not_stored')
  }
}
