import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { oneLine } from '../../output/printable.ts'
import { formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Be a consumer of a queue no longer: what this member has taken goes back',
  arguments: [{ syntax: '<queue>', describe: 'its name' }],
  examples: [{ line: 'claudemesh queue leave builds', describe: 'nothing is sealed for this member there any more' }],

  async run(invocation) {
    const [queue] = invocation.args
    if (queue === undefined) throw invalidUsage('the queue is missing')
    const answer = await withDaemon(invocation, async (client) => await client.queues.leave(queue))
    invocation.terminal.print({
      value: answer,
      render: ({ name, consumers }) => [
        `queue:${oneLine(name)} has ${formatCount(consumers, 'consumer')}, and this member is none of them`,
      ],
    })
    return exitCodes.ok
  },
}
