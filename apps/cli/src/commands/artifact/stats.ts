import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { renderFields } from '../../output/fields.ts'
import { formatBytes } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Show how much there is: in packages, and on the disk, where equal content is stored once',
  examples: [{ line: 'claudemesh artifact stats --json', describe: 'for a graph' }],

  async run(invocation) {
    const stats = await withDaemon(invocation, async ({ artifacts }) => await artifacts.stats())
    invocation.terminal.print({
      value: stats,
      render: (value) =>
        renderFields({
          packages: String(value.packages),
          files: String(value.files),
          'in packages': formatBytes(value.logical_bytes),
          'on the disk': `${formatBytes(value.physical_bytes)} in ${value.objects} objects`,
          'that nothing refers to': formatBytes(value.unreferenced_bytes),
        }),
    })
    return exitCodes.ok
  },
}
