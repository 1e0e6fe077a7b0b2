import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'

export const command: CommandDefinition = {
  summary: 'Remove dead and aborted rows for good',
  options: [
    { syntax: '--status <status>', describe: 'only dead or only aborted ones' },
    { syntax: '--older-than <duration>', describe: 'only those older than that, such as 30d' },
    { syntax: '--confirm', describe: 'needed: what is removed cannot be requeued any more' },
  ],
  examples: [
    { line: 'claudemesh daemon outbox list --status dead', describe: 'look first' },
    { line: 'claudemesh daemon outbox prune --status dead --older-than 30d --confirm', describe: 'then remove' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const status = flags.choice('status', ['dead', 'aborted'])
    const olderThanMs = flags.duration('older-than')
    if (!flags.isSet('confirm')) {
      throw invalidUsage(
        'prune removes messages that were never delivered',
        'Look at them with `claudemesh daemon outbox list`, then add --confirm.',
      )
    }
    const request = {
      ...(status === null ? {} : { status: [status] }),
      ...(olderThanMs === null ? {} : { older_than_ms: olderThanMs }),
    }
    const answer = await withDaemon(invocation, async (client) => await client.prune(request))
    terminal.print({ value: answer, render: ({ pruned }) => [`${pruned} rows removed`] })
    return exitCodes.ok
  },
}
