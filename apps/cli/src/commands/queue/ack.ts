import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { readLeased, reportSettled } from '../../work/settled.ts'

export const command: CommandDefinition = {
  summary: 'Say that a message of a queue is done',
  arguments: [{ syntax: '<id>', describe: 'of the message, as `queue consume` printed it' }],
  options: [{ syntax: '--lease <lease_id>', describe: 'the lease_id that came with it' }],
  examples: [
    {
      line: 'claudemesh queue ack 01JD8ZC6W0000000000000000A --lease 01JD8ZC6W0000000000000000B',
      describe: 'exits with 75 when the lease was lost: somebody else may do it again',
    },
  ],

  async run(invocation) {
    const leased = readLeased(invocation.args, invocation.flags.text('lease'))
    const answer = await withDaemon(invocation, async (client) => await client.queues.ack([leased]))
    return reportSettled(invocation.terminal, answer)
  },
}
