import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { oneLine } from '../../output/printable.ts'
import { renderTable } from '../../output/table.ts'

export const command: CommandDefinition = {
  summary: 'List the work queues of the mesh and how much waits in them',
  examples: [{ line: 'claudemesh queue list', describe: 'name, consumers, what waits, is worked on, and is dead' }],

  async run(invocation) {
    const { terminal } = invocation
    const queues = await withDaemon(invocation, async (client) => {
      const found = []
      for await (const queue of client.queues.each()) found.push(queue)
      return found
    })
    terminal.print({
      value: { queues },
      render: () =>
        queues.length === 0
          ? ['there is no queue yet', '  -> claudemesh queue consume <name> -- <command>']
          : renderTable(
              [
                { title: 'QUEUE', cell: (row) => oneLine(row.name), flexible: true },
                { title: 'CONSUMERS', cell: (row) => `${row.consumers}${row.consuming ? ', here too' : ''}` },
                { title: 'WAITING', cell: (row) => String(row.waiting) },
                { title: 'LEASED', cell: (row) => String(row.leased) },
                { title: 'DEAD', cell: (row) => String(row.dead) },
              ],
              queues,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            ),
    })
    return exitCodes.ok
  },
}
