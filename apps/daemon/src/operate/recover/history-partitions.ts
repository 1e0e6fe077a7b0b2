/** The partitions of the history, as stores of a home. */
import { join } from 'node:path'
import { examinePartition, formatPartition, listRecoverable, salvagePartition } from '@claudemesh/history'
import type { RecoverableStore } from './damaged-stores.ts'

export function partitionsOf(history: string): readonly RecoverableStore[] {
  return listRecoverable(history).map((partition) => {
    const directory = join(history, formatPartition(partition))
    return {
      name: `history ${formatPartition(partition)}`,
      path: directory,
      migrations: null,
      remedy: 'salvage',
      afterwards:
        'what came meanwhile is recorded by the next start; what a sink had exported can be read with `claudemesh history query --from-sink`',
      findFaults: async () => examinePartition(directory, partition),
      salvage: ({ to, runtime }) => {
        const tables = salvagePartition({ directory, to, partition, now: runtime.now })
        return { tables, notes: [] }
      },
    }
  })
}
