import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Keep a package until the hold is released, whatever its expiry',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  options: [{ syntax: '--reason <text>', describe: 'why; needed' }],
  examples: [
    { line: 'claudemesh artifact hold 01JD... --reason "incident 42"', describe: 'prints the id of the hold' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const reason = flags.text('reason')
    if (reason === null) throw invalidUsage('--reason is missing', 'Say why, for whoever looks at the log later.')
    const held = await withDaemon(invocation, async ({ artifacts }) => await artifacts.hold(args[0] ?? '', { reason }))
    terminal.print({ value: held, render: ({ hold_id }) => [hold_id] })
    return exitCodes.ok
  },
}
