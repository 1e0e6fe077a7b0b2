import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { formatBytes, formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Release what expired and aborted packages hold, and delete bytes that nothing refers to',
  options: [{ syntax: '--dry-run', describe: 'say what would go, and delete nothing' }],
  examples: [
    { line: 'claudemesh artifact gc --dry-run', describe: 'look first' },
    { line: 'claudemesh artifact gc', describe: 'the daemon does so by itself, once an hour' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const dryRun = flags.isSet('dry-run')
    const collected = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ artifacts }) => await artifacts.gc({ dry_run: dryRun }, { signal })),
    )
    terminal.print({
      value: { ...collected, dry_run: dryRun },
      render: ({ packages, objects }) => {
        const bytes = objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0)
        const verb = dryRun ? 'would be' : 'were'
        return [
          ...packages.map((id) => `package ${id}`),
          ...objects.map(({ content_address, size_bytes }) => `${content_address}  ${formatBytes(size_bytes)}`),
          `${formatCount(packages.length, 'package')} ${verb} released; ${formatCount(objects.length, 'object')}, ${formatBytes(bytes)}, ${verb} deleted`,
        ]
      },
    })
    return exitCodes.ok
  },
}
