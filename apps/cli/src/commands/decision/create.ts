import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { spaceArgument } from '../../decisions/options.ts'
import { renderSpace } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Make a space, in which a team decides, or share it with other members; of one that is there, nothing',
  arguments: [{ ...spaceArgument, describe: '1 to 64 of a-z, 0-9 and -, not beginning with -' }],
  options: [
    {
      syntax: '--shared',
      describe: 'with every member of the mesh that shares a space of this name: one log for all of them',
    },
  ],
  examples: [
    { line: 'claudemesh decision create plans', describe: 'then: claudemesh decision append plans ...' },
    {
      line: 'claudemesh decision create plans --shared',
      describe: 'on each host that decides together with the others',
    },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const o = { shared: flags.isSet('shared') }
    const made = await withDaemon(invocation, async ({ spaces }) => await spaces.create(args[0] ?? '', o))
    terminal.print({ value: made, render: renderSpace })
    return exitCodes.ok
  },
}
