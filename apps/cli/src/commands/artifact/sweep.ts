import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Mark packages that are past their expiry and not held; nothing is deleted',
  examples: [{ line: 'claudemesh artifact sweep', describe: 'the daemon does so by itself' }],

  async run(invocation) {
    const swept = await withDaemon(invocation, async ({ artifacts }) => await artifacts.sweep())
    invocation.terminal.print({
      value: swept,
      render: ({ marked }) => [...marked, `${formatCount(marked.length, 'package')} marked`],
    })
    return exitCodes.ok
  },
}
