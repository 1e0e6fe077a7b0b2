/** Part of the composition root: the spaces. */
import type { DaemonPaths } from '@claudemesh/protocol'
import type { DiskPressure } from '@claudemesh/storage'
import type { DaemonConfig } from '../config/config.ts'
import type { Closing } from '../lifecycle/closing.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import type { DaemonLog, Log } from '../log.ts'
import { DecisionAnnouncer } from '../publish/decision-announcer.ts'
import type { Runtime } from '../runtime.ts'
import { Spaces } from '../spaces/spaces.ts'

export function composeSpaces(o: {
  readonly paths: DaemonPaths
  readonly config: () => DaemonConfig
  readonly selfId: string
  readonly diskPressure: () => DiskPressure
  readonly runtime: Runtime
  readonly log: Log
  readonly closing: Closing
}): Spaces {
  const { config, closing, ...others } = o
  const spaces = new Spaces({ ...others, config: config().spaces })
  closing.add('spaces', () => spaces.close())
  return spaces
}

export function composeDecisionAnnouncer(o: {
  readonly spaces: Spaces
  readonly stores: Pick<Stores, 'events'>
  readonly runtime: Runtime
  readonly log: DaemonLog
}): DecisionAnnouncer {
  const { spaces, stores, runtime, log } = o
  const { now, random } = runtime
  return new DecisionAnnouncer({ spaces, events: stores.events, now, random, log: log.publish })
}
