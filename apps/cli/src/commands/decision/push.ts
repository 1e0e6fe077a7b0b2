import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { readRemote, remoteArgument } from '../../decisions/remote.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'

export const command: CommandDefinition = {
  summary: 'Push every space to another repository, each as far as it continues what is there',
  arguments: [remoteArgument],
  examples: [
    {
      line: 'claudemesh decision push git@example.org:team/decisions.git',
      describe: 'ends with 1 when one is rejected',
    },
    { line: 'claudemesh decision push /mnt/backup/decisions.git', describe: 'a copy that any git reads' },
  ],

  async run(invocation) {
    const { args, terminal } = invocation
    const remote = readRemote(args[0] ?? '')
    const pushed = await interruptible(
      async (signal) => await withDaemon(invocation, async ({ spaces }) => await spaces.push(remote, { signal })),
    )
    terminal.print({
      value: pushed,
      render: ({ spaces }) =>
        spaces.length === 0 ? ['no spaces'] : spaces.map(({ space, outcome }) => `${space}: ${outcome}`),
    })
    return pushed.spaces.some(({ outcome }) => outcome === 'rejected') ? exitCodes.failed : exitCodes.ok
  },
}
