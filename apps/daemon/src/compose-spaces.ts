/** Part of the composition root: the spaces. */
import type { DaemonPaths } from '@claudemesh/protocol'
import type { DaemonConfig } from './config.ts'
import type { Closing } from './lifecycle/closing.ts'
import type { Log } from './log.ts'
import type { Runtime } from './runtime.ts'
import { Spaces } from './spaces/spaces.ts'

export function composeSpaces(o: {
  readonly paths: DaemonPaths
  readonly config: () => DaemonConfig
  readonly selfId: string
  readonly runtime: Runtime
  readonly log: Log
  readonly closing: Closing
}): Spaces {
  const { paths, config, selfId, runtime, log, closing } = o
  const spaces = new Spaces({ paths, config: config().spaces, selfId, runtime, log })
  closing.add('spaces', () => spaces.close())
  return spaces
}
