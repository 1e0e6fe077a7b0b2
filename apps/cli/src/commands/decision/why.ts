import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { spaceArgument } from '../../decisions/options.ts'
import { decisionLine, inWords } from '../../decisions/render.ts'
import { exitCodes } from '../../exit-codes.ts'
import { oneLine } from '../../output/printable.ts'

export const command: CommandDefinition = {
  summary: 'Print every decision behind a value, in order',
  arguments: [spaceArgument, { syntax: '<key>', describe: 'a key, a target, or a name that stands for one' }],
  examples: [{ line: 'claudemesh decision why plans database', describe: 'who decided on it, when, and what' }],

  async run(invocation) {
    const { args, terminal } = invocation
    const [space = '', key = ''] = args
    const reasons = await withDaemon(invocation, async ({ spaces }) => await spaces.why(space, key))
    terminal.print({
      value: reasons,
      render: ({ key: resolved, value, decisions }) => [
        `${oneLine(resolved)} ${value === undefined ? 'has no value' : `= ${inWords(value)}`}`,
        ...(decisions.length === 0 ? ['nothing was decided on it'] : decisions.map(decisionLine)),
      ],
    })
    return exitCodes.ok
  },
}
