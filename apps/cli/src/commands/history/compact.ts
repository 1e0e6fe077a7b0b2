import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { formatBytes, formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Give back the space of what was deleted from the history',
  arguments: [{ syntax: '[partition]', describe: 'one of those that `history stats` lists; all of them when absent' }],
  examples: [
    { line: 'claudemesh history compact', describe: 'the daemon does so by itself when it is worth it' },
    { line: 'claudemesh history compact messages/mesh=home', describe: 'one partition of `history stats`' },
  ],

  async run(invocation) {
    const [partition] = invocation.args
    const request = partition === undefined ? {} : { partition }
    const compacted = await interruptible(
      async (signal) => await withDaemon(invocation, async ({ history }) => await history.compact(request, { signal })),
    )
    invocation.terminal.print({
      value: compacted,
      render: ({ partitions }) =>
        partitions.map(({ partition: name, rows, bytes_before: before, bytes_after: after }) => {
          return `${name}: ${formatCount(rows, 'row')}, ${formatBytes(before)} before, ${formatBytes(after)} now`
        }),
    })
    return exitCodes.ok
  },
}
