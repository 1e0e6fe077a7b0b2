import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { oneLine } from '../../output/printable.ts'
import { formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Look through the repository of all spaces, and read every decision again',
  options: [
    {
      syntax: '--accept <space>',
      describe: 'take its log as it is now, wherever its branch was moved (`history_rewritten`)',
    },
  ],
  examples: [
    { line: 'claudemesh decision fsck', describe: 'ends with 74 when something is damaged' },
    { line: 'claudemesh decision fsck --accept plans', describe: 'the branch was moved on purpose' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const accepted = flags.text('accept')
    const report = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ spaces }) => {
          if (accepted !== null) await spaces.acceptHistory(accepted)
          return await spaces.fsck({ signal })
        }),
    )
    terminal.print({
      value: report,
      render: ({ problems, spaces }) => [
        ...problems.map((problem) => `git: ${oneLine(problem)}`),
        ...spaces.map(({ space, seq, damage }) =>
          oneLine(
            `${space}: ${formatCount(seq, 'decision')} sound${damage === null ? '' : `, then ${damage.code}: ${damage.detail}`}`,
          ),
        ),
      ],
    })
    const isSound = report.problems.length === 0 && report.spaces.every(({ damage }) => damage === null)
    return isSound ? exitCodes.ok : exitCodes.io
  },
}
