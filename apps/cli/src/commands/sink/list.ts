import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { oneLine } from '../../output/printable.ts'
import { formatTime } from '../../output/quantity.ts'
import { renderTable } from '../../output/table.ts'

export const command: CommandDefinition = {
  summary: 'List the sinks: where the history is exported to, and how far',
  examples: [{ line: 'claudemesh sink list', describe: 'name, destination, phase, what waits, the next run' }],

  async run(invocation) {
    const { terminal } = invocation
    const list = await withDaemon(invocation, ({ sinks }) => sinks.list())
    const waiting = (row: (typeof list.sinks)[number]) =>
      row.partitions.reduce((sum, { rows_behind: behind }) => sum + (behind ?? 0), 0)
    terminal.print({
      value: list,
      render: () =>
        list.sinks.length === 0
          ? ['there is no sink yet', '  -> claudemesh sink add <name> <destination>']
          : renderTable(
              [
                { title: 'SINK', cell: (row) => oneLine(row.name) },
                { title: 'DESTINATION', cell: (row) => oneLine(row.destination), flexible: true },
                { title: 'PHASE', cell: (row) => row.phase },
                { title: 'WAITING', cell: (row) => String(waiting(row)) },
                { title: 'NEXT RUN', cell: (row) => (row.next_run_at === null ? '-' : formatTime(row.next_run_at)) },
              ],
              list.sinks,
              { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
            ),
    })
    return exitCodes.ok
  },
}
