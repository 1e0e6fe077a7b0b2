import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { readLeased, reportSettled } from '../../work/settled.ts'

export const command: CommandDefinition = {
  summary: 'Give a message of a queue back, to be tried again; dead if that was its last delivery',
  arguments: [{ syntax: '<id>', describe: 'of the message, as `queue consume` printed it' }],
  options: [
    { syntax: '--lease <lease_id>', describe: 'the lease_id that came with it' },
    { syntax: '--delay <duration>', describe: 'how long nobody gets it; default not at all' },
    { syntax: '--reason <text>', describe: 'why, for whoever looks at it when it is dead; at most 64 characters' },
  ],
  examples: [
    {
      line: 'claudemesh queue nack 01JD8ZC6W0000000000000000A --lease 01JD8ZC6W0000000000000000B --delay 5m',
      describe: 'somebody gets it in five minutes',
    },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const leased = readLeased(args, flags.text('lease'))
    const delayMs = flags.duration('delay')
    const reason = flags.text('reason')
    const item = {
      ...leased,
      ...(delayMs === null ? {} : { delay_ms: delayMs }),
      ...(reason === null ? {} : { reason }),
    }
    const answer = await withDaemon(invocation, async (client) => await client.queues.nack([item]))
    return reportSettled(terminal, answer)
  },
}
