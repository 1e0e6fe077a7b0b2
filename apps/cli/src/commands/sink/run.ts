import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Export everything there is now, and wait for it',
  arguments: [{ syntax: '<name>', describe: 'of the sink' }],
  examples: [{ line: 'claudemesh sink run nightly', describe: 'also what would wait for its retry' }],

  async run(invocation) {
    const [name] = invocation.args
    if (name === undefined) throw invalidUsage('the name of the sink is missing')
    const run = await withDaemon(invocation, ({ sinks }) => sinks.run(name))
    invocation.terminal.print({
      value: run,
      render: () => [
        `exported ${formatCount(run.rows, 'row')}`,
        ...(run.lost === 0 ? [] : [`${formatCount(run.lost, 'row')} deleted before`]),
        ...(run.error === null ? [] : [run.error, `  -> claudemesh sink status ${name}`]),
      ],
    })
    return run.error === null ? exitCodes.ok : exitCodes.tryLater
  },
}
