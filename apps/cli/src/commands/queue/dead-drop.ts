import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { formatCount } from '../../output/quantity.ts'
import { eachBatch, readDeadSelection } from '../../work/dead-selection.ts'

export const command: CommandDefinition = {
  summary: 'Give dead messages of a queue up for good',
  arguments: [
    { syntax: '<queue>', describe: 'its name; this member must be one of its consumers' },
    { syntax: '[ids...]', describe: 'the messages' },
  ],
  options: [
    { syntax: '--all', describe: 'all that are dead' },
    { syntax: '--confirm', describe: 'needed: what is dropped cannot be requeued any more' },
  ],
  examples: [
    { line: 'claudemesh queue dead list builds', describe: 'look first' },
    { line: 'claudemesh queue dead drop builds 01JD8ZC6W0000000000000000A --confirm', describe: 'then drop' },
  ],

  async run(invocation) {
    const selection = readDeadSelection(invocation.args, invocation.flags.isSet('all'))
    if (!invocation.flags.isSet('confirm')) {
      throw invalidUsage(
        'drop removes work that was never done',
        `Look at it with \`claudemesh queue dead list ${selection.queue}\`, then add --confirm.`,
      )
    }
    const dropped = await withDaemon(invocation, ({ queues }) =>
      eachBatch(queues, selection, async (ids) => (await queues.drop(selection.queue, ids)).dropped),
    )
    invocation.terminal.print({ value: { dropped }, render: () => [`dropped ${formatCount(dropped, 'message')}`] })
    return exitCodes.ok
  },
}
