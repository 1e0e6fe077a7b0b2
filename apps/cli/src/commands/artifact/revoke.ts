import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Do nothing more for a share: one that was not sent is not sent, one that was not fetched is not fetched',
  arguments: [{ syntax: '<share>', describe: 'its id, as `share` and `shares` print it' }],
  options: [{ syntax: '--reason <text>', describe: 'why, for whoever looks at the log later' }],
  examples: [
    {
      line: 'claudemesh artifact revoke 01JF... --reason "the wrong file"',
      describe: 'a message that was sent stays sent',
    },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const reason = flags.text('reason')
    const share = await withDaemon(
      invocation,
      async ({ files }) => await files.revoke(args[0] ?? '', reason === null ? {} : { reason }),
    )
    terminal.print({ value: share, render: ({ share_id, status }) => [`${share_id} is ${status}`] })
    return exitCodes.ok
  },
}
