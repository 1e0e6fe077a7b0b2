import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { renderMessageTable } from '../../output/messages.ts'

export const command: CommandDefinition = {
  summary: 'Show the reply chain that a message belongs to',
  arguments: [{ syntax: '<id>', describe: 'id of any message of the chain' }],
  examples: [{ line: 'claudemesh inbox thread 01JD8ZC6W0000000000000000A', describe: 'the chain, the oldest first' }],

  async run(invocation) {
    const { args, terminal } = invocation
    const [id] = args
    if (id === undefined) throw invalidUsage('the id of the message is missing')
    const thread = await withDaemon(invocation, async (client) => await client.thread(id))
    terminal.print({
      value: thread,
      render: ({ messages, truncated }) => [
        ...(truncated ? ['(the beginning is not on this host)'] : []),
        ...renderMessageTable(terminal, messages),
      ],
    })
    return exitCodes.ok
  },
}
