/** Part of the composition root: the spaces. */
import type { DaemonPaths } from '@claudemesh/protocol'
import type { DiskPressure } from '@claudemesh/storage'
import type { DaemonConfig } from './config.ts'
import type { Closing } from './lifecycle/closing.ts'
import type { Log } from './log.ts'
import type { Runtime } from './runtime.ts'
import { Spaces } from './spaces/spaces.ts'

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
