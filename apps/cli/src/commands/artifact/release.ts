import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Release a hold: the package is kept as long as its expiry says',
  arguments: [{ syntax: '<hold>', describe: 'its id, as `hold` and `show` print it' }],
  options: [{ syntax: '--reason <text>', describe: 'why; needed' }],
  examples: [
    { line: 'claudemesh artifact release 01JE... --reason "incident 42 is closed"', describe: 'by the hold’s id' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [id = ''] = args
    const reason = flags.text('reason')
    if (reason === null) throw invalidUsage('--reason is missing', 'Say why, for whoever looks at the log later.')
    await withDaemon(invocation, async ({ artifacts }) => await artifacts.release(id, { reason }))
    terminal.print({ value: { hold_id: id, released: true }, render: () => [`${id} is released`] })
    return exitCodes.ok
  },
}
