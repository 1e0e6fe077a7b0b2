import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { formatCount } from '../../output/quantity.ts'
import { eachBatch, readDeadSelection } from '../../work/dead-selection.ts'

export const command: CommandDefinition = {
  summary: 'Have dead messages of a queue tried again, as if they had never been taken',
  arguments: [
    { syntax: '<queue>', describe: 'its name; this member must be one of its consumers' },
    { syntax: '[ids...]', describe: 'the messages' },
  ],
  options: [{ syntax: '--all', describe: 'all that are dead' }],
  examples: [{ line: 'claudemesh queue dead requeue builds --all', describe: 'once what made them fail is repaired' }],

  async run(invocation) {
    const selection = readDeadSelection(invocation.args, invocation.flags.isSet('all'))
    const requeued = await withDaemon(invocation, ({ queues }) =>
      eachBatch(queues, selection, async (ids) => (await queues.requeue(selection.queue, ids)).requeued),
    )
    invocation.terminal.print({ value: { requeued }, render: () => [`requeued ${formatCount(requeued, 'message')}`] })
    return exitCodes.ok
  },
}
