import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Run a sink by its schedule again',
  arguments: [{ syntax: '<name>', describe: 'of the sink' }],
  examples: [{ line: 'claudemesh sink resume nightly', describe: 'kept over restarts of the daemon' }],

  async run(invocation) {
    const [name] = invocation.args
    if (name === undefined) throw invalidUsage('the name of the sink is missing')
    const sink = await withDaemon(invocation, ({ sinks }) => sinks.resume(name))
    invocation.terminal.print({ value: sink, render: () => [`${sink.name} runs again`] })
    return exitCodes.ok
  },
}
