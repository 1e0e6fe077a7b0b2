import { createReadStream } from 'node:fs'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { spaceArgument } from '../../decisions/options.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Take an export over as it is, all of it or nothing; a space that is not there is made',
  arguments: [spaceArgument, { syntax: '<path>', describe: 'lines of JSON; - for stdin' }],
  examples: [
    { line: 'claudemesh decision import plans plans.ndjson', describe: 'again later: only what is new is taken' },
    {
      line: 'claudemesh decision export plans --mesh work | claudemesh decision import plans - --mesh home',
      describe: 'a copy',
    },
  ],

  async run(invocation) {
    const { args, terminal } = invocation
    const [space = '', path = ''] = args
    const lines =
      path === '-'
        ? { open: () => process.stdin, reopens: false }
        : { open: () => createReadStream(path), reopens: true }
    const imported = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ spaces }) => await spaces.import(space, lines, { signal })),
    )
    terminal.print({
      value: imported,
      render: ({ appended, present }) => [
        `${formatCount(appended, 'decision')} taken, ${formatCount(present, 'decision')} there before`,
      ],
    })
    return exitCodes.ok
  },
}
