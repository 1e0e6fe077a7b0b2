import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'End a sink and forget how far it was; what it has exported stays',
  arguments: [{ syntax: '<name>', describe: 'of the sink' }],
  options: [{ syntax: '--confirm', describe: 'needed: a sink of the same name would export everything again' }],
  examples: [{ line: 'claudemesh sink remove nightly --confirm', describe: 'its section leaves the configuration' }],

  async run(invocation) {
    const [name] = invocation.args
    if (name === undefined) throw invalidUsage('the name of the sink is missing')
    if (!invocation.flags.isSet('confirm')) {
      throw invalidUsage(
        'remove forgets how far the sink was',
        'To end it for a while: `claudemesh sink pause`. Else add --confirm.',
      )
    }
    await withDaemon(invocation, ({ sinks }) => sinks.remove(name))
    invocation.terminal.print({ value: { removed: name }, render: () => [`removed ${name}`] })
    return exitCodes.ok
  },
}
