import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { spaceArgument } from '../../decisions/options.ts'
import { renderSpace } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Make a space, in which a team decides; of one that is there, nothing',
  arguments: [{ ...spaceArgument, describe: '1 to 64 of a-z, 0-9 and -, not beginning with -' }],
  examples: [{ line: 'claudemesh decision create plans', describe: 'then: claudemesh decision append plans ...' }],

  async run(invocation) {
    const { args, terminal } = invocation
    const made = await withDaemon(invocation, async ({ spaces }) => await spaces.create(args[0] ?? ''))
    terminal.print({ value: made, render: renderSpace })
    return exitCodes.ok
  },
}
