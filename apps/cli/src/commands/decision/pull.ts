import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { readRemote, remoteArgument } from '../../decisions/remote.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Take from another repository what continues the spaces here, and the spaces that are not here',
  arguments: [remoteArgument],
  examples: [
    {
      line: 'claudemesh decision pull git@example.org:team/decisions.git',
      describe: 'ends with 1 when one has diverged',
    },
  ],

  async run(invocation) {
    const { args, terminal } = invocation
    const remote = readRemote(args[0] ?? '')
    const pulled = await interruptible(
      async (signal) => await withDaemon(invocation, async ({ spaces }) => await spaces.pull(remote, { signal })),
    )
    terminal.print({
      value: pulled,
      render: ({ spaces }) =>
        spaces.length === 0
          ? ['no spaces']
          : spaces.map(({ space, outcome, events }) => `${space}: ${outcome}, ${formatCount(events, 'decision')}`),
    })
    return pulled.spaces.some(({ outcome }) => outcome === 'diverged') ? exitCodes.failed : exitCodes.ok
  },
}
