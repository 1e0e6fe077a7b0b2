import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { sequenceBounds, spaceArgument } from '../../decisions/options.ts'
import { renderState } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Print what holds in a space, or what held after a decision',
  arguments: [spaceArgument],
  options: [{ syntax: '--at <n>', describe: 'after the decision of that number; default: now' }],
  examples: [
    { line: 'claudemesh decision state plans', describe: 'each with the number of the decision behind it' },
    { line: 'claudemesh decision state plans --at 7 --json', describe: 'as it was then' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const at = flags.integer('at', sequenceBounds)
    const state = await withDaemon(
      invocation,
      async ({ spaces }) => await spaces.state(args[0] ?? '', at === null ? {} : { at }),
    )
    terminal.print({ value: state, render: renderState })
    return exitCodes.ok
  },
}
