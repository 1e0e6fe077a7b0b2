import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { oneLine } from '../../output/printable.ts'
import { renderTable } from '../../output/table.ts'

export const command: CommandDefinition = {
  summary: 'List the topics of the mesh and which of them are subscribed',
  examples: [{ line: 'claudemesh topic list', describe: 'name, subscription, number of subscribers' }],

  async run(invocation) {
    const { terminal } = invocation
    const list = await withDaemon(invocation, async (client) => await client.topics())
    terminal.print({
      value: list,
      render: ({ topics }) =>
        topics.length === 0
          ? ['there is no topic yet', '  -> claudemesh topic subscribe <name>']
          : renderTable(
              [
                { title: 'TOPIC', cell: (row) => `#${oneLine(row.name)}`, flexible: true },
                { title: 'SUBSCRIBED', cell: subscriptionWord },
                { title: 'SUBSCRIBERS', cell: (row) => String(row.subscribers ?? '?') },
              ],
              topics,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            ),
    })
    return exitCodes.ok
  },
}

function subscriptionWord(topic: { wanted: boolean; subscribed: boolean }): string {
  if (topic.wanted === topic.subscribed) return topic.wanted ? 'yes' : 'no'
  return topic.wanted ? 'pending' : 'leaving'
}
