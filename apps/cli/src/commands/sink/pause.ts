import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Run a sink by its schedule no more; what it has begun goes on where it was',
  arguments: [{ syntax: '<name>', describe: 'of the sink' }],
  examples: [{ line: 'claudemesh sink pause nightly', describe: 'kept over restarts of the daemon' }],

  async run(invocation) {
    const [name] = invocation.args
    if (name === undefined) throw invalidUsage('the name of the sink is missing')
    const sink = await withDaemon(invocation, ({ sinks }) => sinks.pause(name))
    invocation.terminal.print({ value: sink, render: () => [`${sink.name} is paused`] })
    return exitCodes.ok
  },
}
