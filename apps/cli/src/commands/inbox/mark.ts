import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Mark messages read, or unread',
  arguments: [{ syntax: '<ids...>', describe: 'ids of the messages, as `claudemesh inbox` lists them' }],
  options: [{ syntax: '--unread', describe: 'mark them unread instead' }],
  examples: [
    { line: 'claudemesh inbox mark 01JD8ZC6W0000000000000000A', describe: 'tell its sender that it was read' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const read = !flags.isSet('unread')
    const answer = await withDaemon(invocation, async (client) => await client.mark({ ids: [...args], read }))
    terminal.print({
      value: answer,
      render: ({ marked, unknown }) => [
        `${marked} of ${args.length} changed`,
        ...unknown.map((id) => `not in the inbox: ${id}`),
      ],
    })
    return answer.unknown.length === 0 ? exitCodes.ok : exitCodes.data
  },
}
