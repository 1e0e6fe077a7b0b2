import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'

export const command: CommandDefinition = {
  summary: 'Seal a package by its manifest, for ever; repeating it changes nothing',
  arguments: [{ syntax: '<package>', describe: 'its id' }],
  options: [
    { syntax: '--verify <what>', describe: 'head: that the bytes are there (default), full: all of them, none' },
    { syntax: '--allow-empty', describe: 'also a package without files' },
  ],
  examples: [
    { line: 'claudemesh artifact finalize 01JD... --verify full', describe: 'after reading every byte again' },
  ],

  async run(invocation) {
    const { args, flags, terminal } = invocation
    const verify = flags.choice('verify', ['head', 'full', 'none'])
    const request = {
      ...(verify === null ? {} : { verify }),
      ...(flags.isSet('allow-empty') ? { allow_empty: true } : {}),
    }
    const finalized = await withDaemon(
      invocation,
      async ({ artifacts }) => await artifacts.finalize(args[0] ?? '', request),
    )
    terminal.print({ value: finalized, render: ({ manifest_digest }) => [manifest_digest] })
    return exitCodes.ok
  },
}
