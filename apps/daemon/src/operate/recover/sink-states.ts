/** What sinks know of how far they are, as stores of a home. Only an operator can say what a destination has. */
import { join } from 'node:path'
import { listSinks, listStateFaults } from '@claudemesh/sinks/state'
import type { RecoverableStore } from './damaged-stores.ts'

export function sinkStatesOf(sinks: string): readonly RecoverableStore[] {
  return listSinks(sinks).map((name) => {
    const path = join(sinks, name)
    return {
      name: `sink ${name}`,
      path,
      migrations: null,
      remedy: 'none',
      afterwards: `the sink exports nothing until it is told how far its destination is: start the daemon, then \`claudemesh sink reset ${name} --from-destination\`, or \`--to <seq>\` where the destination keeps no objects`,
      findFaults: async () => listStateFaults(path),
      salvage: () => ({ tables: [], notes: [] }),
    }
  })
}
