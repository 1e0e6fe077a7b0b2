import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Give an open package up; its bytes go with the next garbage collection',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  options: [{ syntax: '--reason <text>', describe: 'for whoever looks at the log later' }],
  examples: [
    { line: 'claudemesh artifact abort 01JD... --reason "the build failed"', describe: 'it takes no files any more' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const reason = flags.text('reason')
    const aborted = await withDaemon(
      invocation,
      async ({ artifacts }) => await artifacts.abort(args[0] ?? '', reason === null ? {} : { reason }),
    )
    terminal.print({ value: aborted, render: ({ package_id, status }) => [`${package_id} is ${status}`] })
    return exitCodes.ok
  },
}
