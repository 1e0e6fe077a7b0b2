import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { interruptible } from '../../interruption.ts'
import { formatCount } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Compute what can be asked anew from the log of events, checking the log on the way',
  options: [{ syntax: '--up-to <n>', describe: 'only up to that event, apart from what is there, which stays' }],
  examples: [
    { line: 'claudemesh artifact replay', describe: 'when somebody changed the tables from outside' },
    { line: 'claudemesh artifact replay --up-to 4711', describe: 'only checks' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const upTo = flags.integer('up-to', { min: 0, max: Number.MAX_SAFE_INTEGER })
    const request = upTo === null ? {} : { up_to: upTo }
    const replayed = await interruptible(
      async (signal) =>
        await withDaemon(invocation, async ({ artifacts }) => await artifacts.replay(request, { signal })),
    )
    terminal.print({
      value: replayed,
      render: ({ applied, unknown, last_sequence, chain_digest }) => [
        `${formatCount(applied, 'event')} replayed up to ${last_sequence}${unknown === 0 ? '' : `; ${unknown} of types that this version does not know`}`,
        `chain ${chain_digest}`,
      ],
    })
    return exitCodes.ok
  },
}
