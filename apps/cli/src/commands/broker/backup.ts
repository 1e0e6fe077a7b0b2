import { statSync } from 'node:fs'
import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { formatBytes } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Copy the database of an embedded broker into one file; the broker may run',
  options: [
    { syntax: '--out <path>', describe: 'the file to write, which must not exist' },
    { syntax: '--data <directory>', describe: 'as for broker start' },
  ],
  examples: [
    {
      line: 'claudemesh broker backup --data /var/lib/claudemesh --out /backup/broker-monday.db',
      describe: 'to restore: stop the broker, put the file as broker.db into an empty directory, start it there',
    },
  ],

  async run({ args, flags, environment, terminal }) {
    if (args.length > 0) throw invalidUsage('broker backup takes no arguments')
    const out = flags.text('out')
    if (out === null) throw invalidUsage('--out is missing', 'Name the file: `claudemesh broker backup --out <path>`.')
    const data = flags.text('data') ?? environment.brokerData
    const { backUpBroker } = await import('@claudemesh/broker')
    backUpBroker({ data, out })
    const bytes = statSync(out).size
    terminal.print({
      value: { path: out, bytes, data },
      render: (value) => [`${value.path}: ${formatBytes(value.bytes)}`],
    })
    return exitCodes.ok
  },
}
