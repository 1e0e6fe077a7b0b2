import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { renderMessage } from '../../output/messages.ts'

export const command: CommandDefinition = {
  summary: 'Show one message whole and mark it read',
  arguments: [{ syntax: '<id>', describe: 'id of the message, as `claudemesh inbox` lists it' }],
  options: [{ syntax: '--keep-unread', describe: 'show it without marking it' }],
  examples: [{ line: 'claudemesh inbox read 01JD8ZC6W0000000000000000A', describe: 'its sender, meta and text' }],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [id] = args
    if (id === undefined) throw invalidUsage('the id of the message is missing')
    const message = await withDaemon(invocation, async (client) => {
      const found = await client.message(id)
      if (found.direction === 'received' && found.read_at === null && !flags.isSet('keep-unread')) {
        await client.mark({ ids: [found.id] })
      }
      return found
    })
    terminal.print({ value: message, render: renderMessage })
    return exitCodes.ok
  },
}
