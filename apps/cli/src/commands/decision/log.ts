import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { sequenceBounds, spaceArgument } from '../../decisions/options.ts'
import { decisionLine } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'

const limitDefault = 50

export const command: CommandDefinition = {
  summary: 'Print what was decided, in order: the last decisions, or those after one',
  arguments: [spaceArgument],
  options: [
    { syntax: '--after <n>', describe: 'every decision after that number; 0 for all' },
    { syntax: '--limit <n>', describe: `how many at most; default ${limitDefault}, and with --after all` },
  ],
  examples: [
    { line: 'claudemesh decision log plans', describe: `the last ${limitDefault}` },
    { line: 'claudemesh decision log plans --after 0 --json', describe: 'all of them, one JSON object a line' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [space = ''] = args
    const from = flags.integer('after', sequenceBounds)
    const limit = flags.integer('limit', { min: 1, max: sequenceBounds.max }) ?? (from === null ? limitDefault : null)
    await withDaemon(invocation, async ({ spaces }) => {
      const after = from ?? Math.max(0, (await spaces.get(space)).seq - (limit ?? 0))
      let printed = 0
      for await (const event of spaces.eachEvent(space, { after })) {
        terminal.printItem({ value: event, render: () => [decisionLine(event)] })
        printed += 1
        if (printed === limit) break
      }
    })
    return exitCodes.ok
  },
}
