import type { SinkResetRequest } from '@claudemesh/protocol/sinks'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Say how far the destination of a sink is, when its watermark is lost',
  arguments: [{ syntax: '<name>', describe: 'of the sink' }],
  options: [
    { syntax: '--to <seq>', describe: 'it has rows up to this seq; 0: export everything again' },
    { syntax: '--from-destination', describe: 'ask the destination, which keeps objects' },
    { syntax: '--partition <name>', describe: 'one alone, such as messages/mesh=home' },
  ],
  examples: [
    { line: 'claudemesh sink reset nightly --from-destination', describe: 'exports nothing twice' },
    { line: 'claudemesh sink reset collector --to 81233', describe: 'for a receiver over HTTP, which cannot be asked' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const [name] = args
    if (name === undefined) throw invalidUsage('the name of the sink is missing')
    const to = flags.integer('to', { min: 0, max: 999_999_999_999_999 })
    const fromDestination = flags.isSet('from-destination')
    if ((to === null) !== fromDestination) throw invalidUsage('give one of --to and --from-destination')
    const partition = flags.text('partition')
    const request: SinkResetRequest = {
      ...(to === null ? { from_destination: true } : { to }),
      ...(partition === null ? {} : { partition }),
    }
    const answer = await withDaemon(invocation, ({ sinks }) => sinks.reset(name, request))
    terminal.print({
      value: answer,
      render: () => answer.partitions.map((done) => `${done.partition} goes on behind ${done.acked}`),
    })
    return exitCodes.ok
  },
}
