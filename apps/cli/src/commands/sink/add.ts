import type { NewSink } from '@claudemesh/protocol/sinks'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Export the history somewhere durable from now on, the rows that are there included',
  arguments: [
    { syntax: '<name>', describe: 'its name: a-z, 0-9 and -' },
    { syntax: '<destination>', describe: 'https://…, file:///directory or s3://bucket/prefix' },
  ],
  options: [
    { syntax: '--writer <form>', describe: 'ndjson over HTTP; else parquet (default) or jsonl' },
    { syntax: '--schedule <cron>', describe: 'five fields, in UTC; default "*/5 * * * *"' },
    { syntax: '--token-ref <place>', describe: 'where the token for the receiver is: env:NAME or file:/path' },
    { syntax: '--endpoint-url <url>', describe: 'server of the bucket, where it is not AWS' },
  ],
  examples: [
    {
      line: 'claudemesh sink add nightly file:///srv/exports --schedule "0 3 * * *"',
      describe: 'Parquet files, every night',
    },
    {
      line: 'claudemesh sink add collector https://collect.example.org/v1/batches --token-ref file:/run/secrets/collect',
      describe: 'lines of JSON to a collector, every five minutes',
    },
  ],

  async run({ args, flags, ...invocation }) {
    const [name, destination, ...more] = args
    if (name === undefined || destination === undefined) throw invalidUsage('the name or the destination is missing')
    if (more.length > 0) throw invalidUsage('sink add takes one name and one destination')
    const writer = flags.choice('writer', ['ndjson', 'jsonl', 'parquet'])
    const schedule = flags.text('schedule')
    const tokenRef = flags.text('token-ref')
    const endpointUrl = flags.text('endpoint-url')
    const sink: NewSink = {
      ...{ name, destination },
      ...(writer === null ? {} : { writer }),
      ...(schedule === null ? {} : { schedule }),
      ...(tokenRef === null ? {} : { token_ref: tokenRef }),
      ...(endpointUrl === null ? {} : { endpoint_url: endpointUrl }),
    }
    const added = await withDaemon({ args, flags, ...invocation }, ({ sinks }) => sinks.add(sink))
    invocation.terminal.print({
      value: added,
      render: () => [`${name} exports to ${added.destination}`, `  -> claudemesh sink run ${name}`],
    })
    return exitCodes.ok
  },
}
