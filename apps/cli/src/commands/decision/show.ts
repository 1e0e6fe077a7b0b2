import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { spaceArgument } from '../../decisions/options.ts'
import { renderDecision, renderSpace } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Show a space, or one decision of it with everything that it says',
  arguments: [spaceArgument, { syntax: '[seq]', describe: 'the number of a decision' }],
  examples: [
    { line: 'claudemesh decision show plans', describe: 'how far it is, and who appends' },
    { line: 'claudemesh decision show plans 7', describe: 'the seventh decision' },
  ],

  async run(invocation) {
    const { args, terminal } = invocation
    const [space = '', text] = args
    if (text === undefined) {
      terminal.print({
        value: await withDaemon(invocation, async ({ spaces }) => await spaces.get(space)),
        render: renderSpace,
      })
      return exitCodes.ok
    }
    const seq = /^[1-9][0-9]{0,14}$/.test(text) ? Number(text) : null
    if (seq === null) throw invalidUsage(`"${text}" is no number of a decision`)
    const page = await withDaemon(
      invocation,
      async ({ spaces }) => await spaces.events(space, { after: seq - 1, limit: 1 }),
    )
    const [event] = page.events
    if (event === undefined) throw invalidUsage(`there is no decision ${seq} in ${space}`)
    terminal.print({ value: event, render: renderDecision })
    return exitCodes.ok
  },
}
