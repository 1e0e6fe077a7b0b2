import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { sequenceBounds, spaceArgument } from '../../decisions/options.ts'
import { decisionLine } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Print decisions as they come, until interrupted; none is missed when the daemon restarts',
  arguments: [spaceArgument],
  options: [{ syntax: '--after <n>', describe: 'those after that number first; 0 for all; default: from now on' }],
  examples: [
    { line: 'claudemesh decision watch plans', describe: 'what is decided from now on' },
    { line: 'claudemesh decision watch plans --after 7 --json', describe: 'one JSON object a line' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [space = ''] = args
    const from = flags.integer('after', sequenceBounds)
    await withDaemon(invocation, async ({ spaces }) => {
      const after = from ?? (await spaces.get(space)).seq
      const onInterrupted = (error: Error) => terminal.note(`waiting for the daemon: ${error.message}`)
      for await (const event of spaces.watch(space, { after, onInterrupted })) {
        terminal.printItem({ value: event, render: () => [decisionLine(event)] })
      }
    })
    return exitCodes.ok
  },
}
