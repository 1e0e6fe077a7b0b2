import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Sign a finalized package as the member whose daemon this is; repeating it changes nothing',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  examples: [
    { line: 'claudemesh artifact sign 01JD...', describe: 'prints the key; signatures are beside the manifest' },
  ],

  async run(invocation) {
    const { args, terminal } = invocation
    const signed = await withDaemon(invocation, async ({ artifacts }) => await artifacts.sign(args[0] ?? ''))
    terminal.print({ value: signed, render: ({ key_id }) => [key_id] })
    return exitCodes.ok
  },
}
