import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Delete now what is past its retention in the history',
  examples: [{ line: 'claudemesh history prune', describe: 'the daemon does so by itself, once a minute' }],

  async run(invocation) {
    const pruned = await withDaemon(invocation, async ({ history }) => await history.prune())
    invocation.terminal.print({
      value: pruned,
      render: ({ partitions }) =>
        partitions.map(({ partition, rows, lost }) => {
          const unexported = lost === 0 ? '' : `, ${lost} of them not exported by every sink`
          return `${partition}: ${formatCount(rows, 'row')} deleted${unexported}`
        }),
    })
    return exitCodes.ok
  },
}
