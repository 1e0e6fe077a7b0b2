import type { DeadMessage } from '@claudemesh/protocol'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { oneLine } from '../../output/printable.ts'
import { formatTime } from '../../output/quantity.ts'
import { renderTable } from '../../output/table.ts'

export const command: CommandDefinition = {
  summary: 'List the messages of a queue that were given up, and why',
  arguments: [{ syntax: '<queue>', describe: 'its name; this member must be one of its consumers' }],
  examples: [{ line: 'claudemesh queue dead list builds', describe: 'oldest first; with --json also what they say' }],

  async run(invocation) {
    const { args, terminal } = invocation
    const [queue] = args
    if (queue === undefined) throw invalidUsage('the queue is missing')
    const messages = await withDaemon(invocation, async (client) => {
      const found: DeadMessage[] = []
      for await (const message of client.queues.eachDead(queue)) found.push(message)
      return found
    })
    terminal.print({
      value: { messages },
      render: () =>
        messages.length === 0
          ? [`nothing is dead in queue:${oneLine(queue)}`]
          : renderTable(
              [
                { title: 'ID', cell: (row) => row.id },
                { title: 'DIED', cell: (row) => formatTime(row.died_at) },
                { title: 'TRIES', cell: (row) => String(row.deliveries) },
                { title: 'REASON', cell: (row) => oneLine(row.reason) },
                { title: 'CONSUMER', cell: (row) => oneLine(row.consumer_name ?? row.consumer.slice(0, 12)) },
                { title: 'MESSAGE', cell: (row) => oneLine(row.message ?? '(could not be opened)'), flexible: true },
              ],
              messages,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            ),
    })
    return exitCodes.ok
  },
}
