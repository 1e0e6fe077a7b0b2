import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { outboxIdArgument, outboxIdOption, readOutboxId } from '../../outbox-id.ts'

export const command: CommandDefinition = {
  summary: 'Give a dead or pending row up: it is not sent',
  arguments: [outboxIdArgument],
  options: [outboxIdOption],
  examples: [
    { line: 'claudemesh daemon outbox drop --id 01JD8ZC6W0000000000000000A', describe: 'kept as aborted until pruned' },
  ],

  async run(invocation) {
    const id = readOutboxId(invocation)
    const answer = await withDaemon(invocation, async (client) => await client.drop(id))
    invocation.terminal.print({ value: answer, render: ({ row }) => [`${row.id} is aborted and will not be sent`] })
    return exitCodes.ok
  },
}
