import { renderPackage } from '../../artifacts/render.ts'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Show one package, and how long it is kept',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  examples: [{ line: 'claudemesh artifact show 01JD...', describe: 'status, files, expiry, hold' }],

  async run(invocation) {
    const { args, terminal } = invocation
    const shown = await withDaemon(invocation, async ({ artifacts }) => await artifacts.package(args[0] ?? ''))
    terminal.print({ value: shown, render: renderPackage })
    return exitCodes.ok
  },
}
